/// A key, a good value with how it is shown, bad values with a fragment of the message.
pub(super) type Case = (&'static str, (&'static str, &'static str), &'static [(&'static str, &'static str)]);

/// For each key a value that is not its default with how it is shown, and bad values with a fragment of the message.
pub(super) const CASES: &[Case] = &[
    (
        "root",
        ("'files'", "/etc/tidegate/files"),
        &[
            ("''", "is empty"),
            ("'~/ftp'", "~"),
            ("7", "the number 7 is not a path | expected the path of a folder"),
            (
                "'/nowhere'",
                "does not exist | expected the path of a folder that exists | create it (mkdir -p /nowhere)",
            ),
            ("'/srv/file'", "is not a folder"),
            ("\"/a\\u0000\"", "control character"),
        ],
    ),
    (
        "greeting",
        ("'Welcome, 潮'", "Welcome, 潮"),
        &[
            ("\"a\\r\\n220 b\"", "control character"),
            ("''", "is empty"),
            ("true", "put it in quotes"),
            ("' x'", "space"),
        ],
    ),
    (
        "durability",
        ("'file'", "file"),
        &[
            (
                "'ful'",
                "\"ful\" is not one of the words | expected \"full\", \"file\" or \"none\" | did you mean \"full\"?",
            ),
            ("true", "true is not one of the words"),
        ],
    ),
    (
        "listener[].address",
        ("'[::]:21'", "[::]:21"),
        &[
            ("'0.0.0.0'", "add the port: \"0.0.0.0:2121\""),
            ("'::1'", "\"[::1]:2121\""),
            ("2121", "\"127.0.0.1:2121\""),
            ("'2121'", "add the address"),
            ("':21'", "\"[::]:21\""),
            ("'*:21'", "\"[::]:21\""),
            ("'localhost:21'", "\"127.0.0.1:21\""),
            ("'ftp.example:21'", "host names are not looked up"),
            ("'1.2.3.4:99999'", "is not an address with a port"),
        ],
    ),
    (
        "listener[].tls",
        ("'off'", "off"),
        &[
            ("'explicit'", "\"explicit\" is designed but not built yet"),
            ("'of'", "did you mean \"off\"?"),
            ("false", "false is not one of the words"),
        ],
    ),
    (
        "listener[].passive_ports",
        ("'50000-50009'", "50000-50009"),
        &[
            (
                "'50009-50000'",
                "empty range | expected two ports from 1024 on, such as \"50000-50999\" | the lower port comes first: \"50000-50009\"",
            ),
            ("'1000-2000'", "begins below 1024"),
            ("'50000'", "\"50000-50000\""),
            ("50000", "put it in quotes"),
            ("'50000-70000'", "65535"),
            ("'a-b'", "is not a range of ports"),
            ("'2000-3000'", "port 2121 in it is a listener's"),
        ],
    ),
    (
        "listener[].passive_address",
        ("'ftp.example.org'", "ftp.example.org"),
        &[
            ("'0.0.0.0'", "no address a client can reach"),
            ("'2001:db8::1'", "EPSV"),
            ("'203.0.113.999'", "neither"),
            ("'a b'", "neither"),
            ("'-x.org'", "neither"),
            ("1", "is not an address"),
        ],
    ),
    (
        "listener[].passive_address_for[].from",
        ("'10.0.0.0/8'", "10.0.0.0/8"),
        &[
            (
                "'10.0.0.5/8'",
                "listener[1].passive_address_for[1].from: \"10.0.0.5/8\" has bits set behind its first 8 | expected a network, such as \"10.0.0.0/8\" | write \"10.0.0.0/8\" for the network, \"10.0.0.5/32\" for the one address",
            ),
            ("'10.0.0.0/33'", "behind the slash comes a number of bits, 32 at most"),
            ("'2001:db8::/129'", "128 at most"),
            ("'10.0.0.0/255.255.0.0'", "write \"10.0.0.0/16\""),
            ("'10.0.0.0/255.0.255.0'", "number of bits"),
            ("'::ffff:10.0.0.0/104'", "is IPv4 written as IPv6 | expected a network, such as"),
            ("'::ffff:10.0.0.0/104'", "write \"10.0.0.0/8\""),
            ("'2001:db8::/32'", "2001:db8::/32 is never told an address: over IPv6 there is no PASV"),
            ("'10.1.*.*'", "wildcards are not read"),
            ("'office.example'", "host names are not looked up here"),
            ("10", "put it in quotes"),
        ],
    ),
    (
        "listener[].passive_address_for[].address",
        ("'inside.example.org'", "inside.example.org"),
        &[("'0.0.0.0'", "no address a client can reach"), ("'::1'", "EPSV")],
    ),
    (
        "account[].name",
        ("'bob'", "bob"),
        &[
            ("''", "is empty"),
            ("' bob'", "space"),
            ("7", "put it in quotes"),
            ("\"a\\nb\"", "control character"),
        ],
    ),
    (
        "account[].password_hash",
        (
            "'$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkN'",
            "set (argon2id, m=65536,t=3,p=4)",
        ),
        &[
            ("'hunter2'", "account[alice].password_hash: the value does not look like a password hash"),
            ("'$2y$10$abcdefghijklmnopqrstuv'", "another kind than argon2id"),
            ("'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0'", "has no salt or no hash"),
            ("7", "is not a password hash"),
        ],
    ),
    (
        "account[].home",
        ("'/srv/alice'", "/srv/alice"),
        &[("'/srv/bob'", "account[alice].home: \"/srv/bob\" does not exist")],
    ),
    (
        "account[].rights",
        ("['list', 'mkdir']", "list, mkdir"),
        &[
            ("'everything'", "the rights are: list, read"),
            ("['list', 'wirte']", "did you mean \"write\"?"),
            ("[]", "gives no right"),
            ("['list', 7]", "with the number 7 in it"),
            ("true", "true is not a list of rights"),
            ("'readonly'", "did you mean \"read-only\"?"),
        ],
    ),
    (
        "account[].max_connections",
        ("4", "4"),
        &[("0", "would let nobody in"), ("'4'", "remove the quotes: 4"), ("999", "never reached")],
    ),
    ("account[].upload", ("'in-place'", "in-place"), &[("'inplace'", "did you mean \"in-place\"?")]),
    (
        "account[].owner",
        ("'alice:www-data'", "alice:www-data (1000:33)"),
        &[
            (
                "'alicia'",
                "account[alice].owner: there is no user \"alicia\" on this machine | expected users and groups of this machine, or their numbers | correct the name, create the user (useradd), or write a number",
            ),
            ("'alice:nogroup'", "there is no group \"nogroup\" on this machine"),
            (
                "'www-data'",
                "but a group | expected users and groups of this machine, or their numbers | for the group alone write \":www-data\"",
            ),
            ("'broken'", "cannot be looked up: the directory server does not answer"),
            ("'root'", "this process may not give files away"),
            ("':34'", "CAP_CHOWN"),
            ("'alice:'", "write \"alice\" for the user alone"),
            ("':'", "names nobody"),
            ("''", "names nobody"),
            ("'a b'", "has no name of a user in it"),
            ("'alice:b:c'", "has no name of a group in it"),
            ("'4294967295'", "has a user number above 4294967294"),
            ("1000", "put it in quotes: \"1000\""),
        ],
    ),
    (
        "account[].file_mode",
        ("'0640'", "0640"),
        &[
            (
                "'2644'",
                "has set-id or sticky bits, which files of clients must not get | expected three or four octal digits in quotes, such as \"0644\" | write \"0644\"",
            ),
            ("'0888'", "is not a mode"),
            ("'64'", "is not a mode"),
            ("'00644'", "is not a mode"),
            ("'rw-r--r--'", "each digit is for owner, group or others"),
            ("644", "put it in quotes: \"0644\""),
            ("0o644", "put it in quotes: \"0644\""),
            ("'+644'", "is not a mode"),
        ],
    ),
    (
        "account[].dir_mode",
        ("'2775'", "2775"),
        &[
            ("'0644'", "nobody could enter the folders"),
            ("'0644'", "write \"0755\""),
            ("true", "put it in quotes"),
        ],
    ),
    (
        "anonymous.enabled",
        ("true", "true"),
        &[("'yes'", "write true, without quotes"), ("1", "neither true nor false")],
    ),
    ("anonymous.home", ("'/srv/pub'", "/srv/pub"), &[("''", "is empty")]),
    ("anonymous.rights", ("'upload-only'", "upload-only"), &[("'upload'", "did you mean \"upload-only\"?")]),
    ("anonymous.max_connections", ("100", "100"), &[("-1", "is below 1")]),
    (
        "limits.connections",
        ("200", "200"),
        &[
            ("0", "would let nobody in"),
            ("1.5", "is not a whole number"),
            ("99999999999999999999999999", "is above 4294967295"),
            ("5_000_000_000", "is above 4294967295"),
            (
                "241",
                "241 connections need more descriptors than the system gives | expected 240 at most: (1024 descriptors - 64) / 4",
            ),
        ],
    ),
    (
        "limits.connections_per_address",
        ("0x10", "16"),
        &[("'ten'", "is not a whole number"), ("241", "never reached | `limits.connections` is 240")],
    ),
    (
        "files.keep_partial",
        ("false", "false"),
        &[("'no'", "write false, without quotes"), ("0", "neither true nor false")],
    ),
    (
        "files.deny_names",
        ("['.ht*', '*.bak']", ".ht*, *.bak"),
        &[
            (
                "'.ht*'",
                "is not a list of patterns | expected a list of patterns for names, such as [\".ht*\", \"*.bak\"] | put it in brackets: [\".ht*\"]",
            ),
            ("['a', 7]", "with the number 7 in it is not a list of patterns"),
            ("['secret/*']", "\"secret/*\" has a slash in it"),
            ("['']", "has a bad pattern in it: \"\" is empty"),
            ("['*a*b*c*d*e*f*g*h*']", "has more than 8 wildcards"),
            ("[\"a\\u0007\"]", "has a control character in it"),
            ("['.ht*', '**']", "\"**\" hides every file"),
            ("true", "true is not a list of patterns"),
        ],
    ),
    (
        "files.max_file_size",
        ("'10GiB'", "10GiB"),
        &[
            (
                "'10G'",
                "\"10G\" is not a size | expected a number of bytes, or a text such as \"10GiB\" or \"500MB\" | did you mean \"10GiB\"?",
            ),
            ("'big'", "units are B, KiB"),
            ("0", "the number 0 would let no file in"),
            (
                "'0B'",
                "would let no file in | expected a number of bytes, or a text such as \"10GiB\" or \"500MB\" | leave the key out for no limit",
            ),
            ("-1", "is below 1"),
            ("99999999999999999999", "is above 18446744073709551615"),
            ("1.5", "put it in quotes"),
        ],
    ),
    (
        "files.mode_z",
        ("true", "true"),
        &[("'on'", "write true, without quotes"), ("9", "neither true nor false")],
    ),
    (
        "files.extra_commands",
        ("['SITE CHGRP', 'RMDA']", "RMDA, SITE CHGRP"),
        &[
            (
                "['RMDIR']",
                "names no command that is off: \"RMDIR\" | expected a list of commands, such as [\"RMDA\", \"SITE CHGRP\"] | did you mean \"SITE RMDIR\"?",
            ),
            ("['site chgrp']", "did you mean \"SITE CHGRP\"?"),
            ("['SITE_COPY']", "did you mean \"SITE COPY\"?"),
            (
                "['HASH']",
                "the commands are: RMDA, COMB, MD5, SITE CHGRP, SITE SYMLINK, SITE MKDIR, SITE RMDIR, SITE CPFR, SITE COPY",
            ),
            ("'RMDA'", "put it in brackets: [\"RMDA\"]"),
            ("[true]", "with true in it is not a list of commands"),
        ],
    ),
    (
        "timeouts.login",
        ("'1m30s'", "1m30s"),
        &[("30", "for seconds write \"30s\""), ("'0s'", "the shortest is \"1s\"")],
    ),
    (
        "timeouts.idle",
        ("'1h'", "1h"),
        &[
            (
                "'5 minuts'",
                "\"5 minuts\" is not a duration | expected a number with a unit, such as \"30s\", \"5m\" or \"1h30m\" | did you mean \"5m\"?",
            ),
            ("'soon'", "units are ms, s, m, h and d"),
            ("true", "put it in quotes"),
        ],
    ),
    ("timeouts.data_stall", ("'90s'", "1m30s"), &[("'500ms'", "is too short")]),
    ("timeouts.data_open", ("'5s'", "5s"), &[("''", "is not a duration")]),
    ("timeouts.shutdown", ("'0s'", "0s"), &[("'-1s'", "is not a duration")]),
    (
        "log.format",
        ("'json'", "json"),
        &[("'jsn'", "did you mean \"json\"?"), ("'xml'", "expected \"auto\", \"text\" or \"json\"")],
    ),
];
