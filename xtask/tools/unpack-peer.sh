#!/bin/sh
# usage: unpack-peer.sh FOLDER PACKAGE...
# Unpacks Debian packages, and the libraries they need that this machine lacks, into FOLDER: servers that conflict with each
# other as packages stand side by side that way. FOLDER/VERSION, written last, tells the version of the first package.
set -eu
folder=$1
shift
first=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$folder"
mkdir -p "$folder"
cd "$work"
apt-get -q download "$@" || { apt-get -q update && apt-get -q download "$@"; }
# Libraries of libraries come in later rounds; scripts for web pages, which nobody opens here, never.
for round in 1 2 3 4; do
    for package in *.deb; do
        dpkg-deb -f "$package" Depends | tr ',|' '\n\n' | sed -n 's/^ *\(lib[^ (:]*\).*/\1/p'
    done | sort -u | { grep -v '^libjs-' || true; } >wanted
    came=no
    while read -r library; do
        if dpkg-query -W -f '${Status}' "$library" 2>/dev/null | grep -q 'ok installed'; then continue; fi
        if ls "$library"_*.deb >/dev/null 2>&1; then continue; fi
        # One of several alternatives may not exist here.
        if apt-get -q download "$library"; then came=yes; fi
    done <wanted
    [ "$came" = yes ] || break
done
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
dpkg-deb -f "$first"_*.deb Version >"$folder/VERSION"
