#!/bin/sh
# backup.sh FOLDER: copy the stores and configuration entries of the engine whose folder this is into FOLDER/DATE, while it runs.
# Copies that are older than KEEP_DAYS (14) are removed.
set -eu
copy=$1/$(date -u +%Y-%m-%dT%H%M%SZ)
iii store backup data "$copy"
[ ! -d config ] || cp -a config "$copy/"
find "$1" -mindepth 1 -maxdepth 1 -name '????-??-??T??????Z' -mtime "+${KEEP_DAYS:-14}" -exec rm -r {} +
