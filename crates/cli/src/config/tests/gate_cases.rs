use super::cases::Case;

/// As `CASES`, for the keys of the gate and of what looks into it.
pub(super) const GATE_CASES: &[Case] = &[
    (
        "state",
        ("'./state'", "/etc/tidegate/state"),
        &[
            (
                "'of'",
                "\"of\" is neither one of the words nor a path | expected \"auto\", \"off\" or the path of a folder | did you mean \"off\"?",
            ),
            ("true", "write \"auto\""),
            ("'var'", "for a path beside this file write \"./var\""),
            ("'/srv/file'", "this is not a folder"),
            ("7", "the number 7 is not a place"),
        ],
    ),
    (
        "listener[].trusted_proxies",
        ("['192.0.2.1', '2001:db8::/32']", "192.0.2.1/32, 2001:db8::/32"),
        &[
            (
                "['10.0.0.5/8']",
                "a list has a bad network in it: \"10.0.0.5/8\" has bits set behind its first 8 | expected a list of networks, such as [\"10.0.0.0/8\", \"192.0.2.7\"] | write \"10.0.0.0/8\" for the network, \"10.0.0.5/32\" for the one address",
            ),
            ("'10.0.0.0/8'", "is not a list of networks | expected a list of networks, such as"),
            ("'10.0.0.0/8'", "put it in brackets: [\"10.0.0.0/8\"]"),
            (
                "['128.0.0.0/1', '0.0.0.0/1']",
                "every IPv4 address is taken for a proxy: who connects may claim to come from anywhere",
            ),
            ("[7]", "with the number 7 in it is not a list of networks"),
        ],
    ),
    (
        "listener[].connections",
        ("50", "50"),
        &[
            ("0", "would let nobody in"),
            ("241", "241 is more than `limits.connections` and is never reached"),
        ],
    ),
    (
        "listener[].connection_rate",
        ("'100/1m'", "100/1m"),
        &[
            (
                "100",
                "the number 100 is not a rate | expected so many in a time, such as \"30/10s\" or \"5/5m\" | name the time too: \"100/1s\"",
            ),
            ("'100'", "did you mean \"100/1s\"?"),
            ("'0/1s'", "lets nothing through"),
            ("'10/0s'", "is in no time at all"),
            ("'5000000000/1s'", "is more than 4294967295"),
        ],
    ),
    ("listener[].shadow.connections", ("20", "20"), &[("240", "240 is not below `limits.connections`")]),
    ("listener[].shadow.connection_rate", ("'50/1m'", "50/1m"), &[("50", "is not a rate")]),
    (
        "limits.connections_unauthenticated",
        ("100", "100"),
        &[("241", "never reached | `limits.connections` is 240"), ("'9'", "remove the quotes: 9")],
    ),
    (
        "limits.connection_rate_per_address",
        ("'30/10s'", "30/10s"),
        &[
            (
                "'30/10'",
                "\"30/10\" is not a rate | expected so many in a time, such as \"30/10s\" or \"5/5m\" | did you mean \"30/10s\"?",
            ),
            ("'fast'", "first how many, then a slash and the time"),
            ("'+5/1s'", "is not a rate"),
        ],
    ),
    ("limits.transfers", ("100", "100"), &[("241", "241 is more than `limits.connections`")]),
    (
        "limits.transfers_per_address",
        ("16", "16"),
        &[("241", "never reached | `limits.connections` is 240 | lower it, or raise `limits.connections`")],
    ),
    (
        "limits.login_failures",
        ("'5/5m'", "5/5m"),
        &[
            ("5", "name the time too: \"5/1s\""),
            ("'5 in 5 minutes'", "did you mean \"5/5m\"?"),
            (
                "'6554/1d'",
                "is more than 6553 | expected at most 6553 in a time, such as \"5/5m\" | name fewer, in a shorter time",
            ),
        ],
    ),
    (
        "limits.allow",
        ("['10.0.0.0/8', '203.0.113.0/24']", "10.0.0.0/8, 203.0.113.0/24"),
        &[
            ("['10.0.0.0/8']", "limits.override[203.0.113.0/24].from: 203.0.113.0/24 may not connect at all"),
            ("'any'", "is not a list of networks"),
        ],
    ),
    (
        "limits.deny",
        ("['198.51.100.7']", "198.51.100.7/32"),
        &[
            ("['0.0.0.0/0', '::/0']", "nobody may connect"),
            ("['10.0.0.0/8']", "limits.reserved.from: 10.0.0.0/8 may not connect at all"),
            ("['10.*']", "has a bad network in it: \"10.*\" is not a network"),
        ],
    ),
    ("limits.deny_silent", ("true", "true"), &[("'yes'", "write true, without quotes")]),
    (
        "limits.trusted",
        ("['10.0.0.0/8']", "10.0.0.0/8"),
        &[("['10.0.0.0/8', '::ffff:10.0.0.0/104']", "\"::ffff:10.0.0.0/104\" is IPv4 written as IPv6")],
    ),
    (
        "limits.reclaim",
        ("'dead'", "dead"),
        &[(
            "'deed'",
            "\"deed\" is not one of the words | expected \"off\", \"dead\" or \"idle\" | did you mean \"dead\"?",
        )],
    ),
    ("limits.command_rate", ("'100/1s'", "100/1s"), &[("'100/sec'", "did you mean \"100/1s\"?")]),
    (
        "limits.reserved.connections",
        ("8", "8"),
        &[
            ("240", "240 of 240 connections are kept: nobody else could connect"),
            ("0", "would let nobody in"),
        ],
    ),
    (
        "limits.reserved.from",
        ("['10.9.0.0/16', '2001:db8::/32']", "10.9.0.0/16, 2001:db8::/32"),
        &[
            ("[]", "names no network, so nobody could use the reserve"),
            ("['office']", "host names are not looked up"),
        ],
    ),
    (
        "limits.ban.first",
        ("'5m'", "5m"),
        &[
            (
                "'2d'",
                "the longest ban (1d) is shorter than the first (2d) | expected `first` to be at most `most` | set `most` to \"2d\" or longer",
            ),
            ("'0s'", "the shortest is \"1s\""),
        ],
    ),
    (
        "limits.ban.factor",
        ("1.5", "1.5"),
        &[
            (
                "0.5",
                "the number 0.5 is below 1 | expected a number from 1 on, such as 2.0 | 1.0 means that every ban lasts as long",
            ),
            ("'2.0'", "remove the quotes: 2.0"),
            ("inf", "is not a number to multiply by"),
            ("true", "is not a number to multiply by"),
        ],
    ),
    ("limits.ban.most", ("'2h'", "2h"), &[("'30s'", "the longest ban (30s) is shorter than the first (1m)")]),
    ("limits.ban.silent", ("true", "true"), &[("1", "neither true nor false")]),
    (
        "limits.waiting_room.hold",
        ("'5s'", "5s"),
        &[
            (
                "'31s'",
                "is too long | expected a number with a unit, such as \"30s\", \"5m\" or \"1h30m\" | the longest is \"30s\"",
            ),
            ("5", "for seconds write \"5s\""),
        ],
    ),
    (
        "limits.waiting_room.places",
        ("32", "32"),
        &[
            (
                "1025",
                "the number 1025 is above 1024 | expected a whole number from 1 to 1024, without quotes | write a number from 1 to 1024",
            ),
            ("0", "is below 1"),
            ("65", "nobody waits, because `hold` is 0s"),
        ],
    ),
    ("limits.shadow.connections", ("100", "100"), &[("240", "240 is not below `limits.connections`")]),
    (
        "limits.shadow.connections_per_address",
        ("20", "20"),
        &[("'20'", "remove the quotes: 20"), ("9", "there the trial never counts anything")],
    ),
    (
        "limits.shadow.connections_unauthenticated",
        ("50", "50"),
        &[(
            "240",
            "240 is not below `limits.connections`: the trial never counts anything | expected less than 240 | try a smaller number; when it is good, make it `limits.connections`",
        )],
    ),
    ("limits.shadow.connection_rate_per_address", ("'10/1m'", "10/1m"), &[("10", "is not a rate")]),
    ("limits.shadow.transfers", ("40", "40"), &[("240", "is not below `limits.connections`")]),
    ("limits.shadow.transfers_per_address", ("4", "4"), &[("240", "is not below `limits.connections`")]),
    (
        "limits.override[].from",
        ("'198.51.100.0/24'", "198.51.100.0/24"),
        &[
            ("'203.0.113.7/24'", "\"203.0.113.7/24\" has bits set behind its first 24"),
            ("24", "put it in quotes"),
        ],
    ),
    (
        "limits.override[].connections_per_address",
        ("100", "100"),
        &[
            ("241", "241 is more than `limits.connections` and is never reached"),
            ("0", "would let nobody in"),
        ],
    ),
    ("limits.override[].connection_rate_per_address", ("'300/10s'", "300/10s"), &[("300", "is not a rate")]),
    (
        "limits.override[].transfers_per_address",
        ("1", "1"),
        &[("4", "4 is more than `limits.override[203.0.113.0/24].connections_per_address`")],
    ),
    (
        "overload.memory",
        ("'70%'", "70%"),
        &[
            (
                "70",
                "the number 70 is not a percentage | expected a percentage in quotes, such as \"80%\", or \"off\" | write \"70%\"",
            ),
            ("'70'", "did you mean \"70%\"?"),
            ("'70 %'", "did you mean \"70%\"?"),
            ("'101%'", "is above 100%"),
            ("'0%'", "would let nobody in"),
            ("0.7", "write a whole percentage"),
            ("false", "write \"off\""),
        ],
    ),
    ("overload.descriptors", ("'off'", "off"), &[("'of'", "write a whole percentage, or \"off\"")]),
    (
        "overload.scheduling_delay",
        ("'250ms'", "250ms"),
        &[("250", "has no unit"), ("'0s'", "would let nobody in"), ("'fast'", "units are ms, s, m, h and d")],
    ),
    ("overload.cpu_pressure", ("'60%'", "60%"), &[("'-1%'", "is not a percentage")]),
    ("overload.storage_latency", ("'off'", "off"), &[("false", "write \"off\"")]),
    (
        "admin.socket",
        ("'./tide.sock'", "/etc/tidegate/tide.sock"),
        &[
            ("'atuo'", "did you mean \"auto\"?"),
            ("'/srv'", "this is a folder | expected a path where no folder is"),
            ("false", "write \"off\""),
            (
                "'/a-folder-with-a-very-long-name/another-folder-with-a-very-long-name/a-third-folder-with-a-very-long-name.sock'",
                "is longer than the path of a socket may be, 107 bytes",
            ),
        ],
    ),
    (
        "admin.http",
        ("'127.0.0.1:2180'", "127.0.0.1:2180"),
        &[
            ("'127.0.0.1:2121'", "127.0.0.1:2121 is taken by listener[1]"),
            ("'0.0.0.0:2180'", "other machines can read health and metrics"),
            ("2180", "write \"127.0.0.1:2180\""),
        ],
    ),
    ("admin.agent", ("'127.0.0.1:2181'", "127.0.0.1:2181"), &[("'2181'", "add the address")]),
];
