#!/usr/bin/env bash
# What a program is made of, as CycloneDX 1.6: release/sbom.sh PROGRAM TARGET [FILE] >sbom.cdx.json
#
# PROGRAM is `entrypoint` or `svidence`, TARGET what it is built for, FILE the program itself, whose digest then binds the list to it.
# Only what is linked in: not what runs while it is built. Nothing in it tells when or where it was made, so two are equal.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
program=$1 target=$2 file=${3:-}

case $program in
    entrypoint) features=--no-default-features ;;
    svidence) features= ;;
    *) echo "sbom.sh: $program is no program of this package; there are entrypoint and svidence" >&2; exit 1 ;;
esac
tree=$(cargo tree --locked --package svidence $features --edges normal,no-proc-macro --target "$target" --prefix depth --format $'{p}\t{l}')
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
rust=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
hashes=
if [ -n "$file" ]; then
    digest=$(sha256sum "$file")
    hashes=", \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"${digest%% *}\"}]"
fi

# Lines into a list of JSON.
list() { sort -u | sed 's/^/    /; $!s/$/,/'; }

components() {
    echo "{\"type\": \"platform\", \"bom-ref\": \"rust-std@$rust\", \"name\": \"rust-std\", \"version\": \"$rust\"," \
        "\"description\": \"Rust's standard library and the C library of $target\", \"licenses\": [{\"expression\": \"MIT OR Apache-2.0\"}]}"
    # What has a checksum comes from the registry; the rest is this repository's.
    awk -F '\t' '
        FNR == NR {
            split($0, field, "\"")
            if (/^name = /) name = field[2]
            else if (/^version = /) version = field[2]
            else if (/^checksum = /) checksum[name "@" version] = field[2]
            next
        }
        /^0/ { next }
        {
            sub(/^[0-9]+/, "", $1)
            split($1, package, " ")
            id = package[1] "@" substr(package[2], 2)
            licence = $2
            sub(/ \(\*\)$/, "", licence)
            gsub(/ *\/ */, " OR ", licence)
            printf "{\"type\": \"library\", \"bom-ref\": \"%s\", \"name\": \"%s\", \"version\": \"%s\", ", id, package[1], substr(package[2], 2)
            if (id in checksum) printf "\"purl\": \"pkg:cargo/%s\", \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"%s\"}], ", id, checksum[id]
            printf "\"licenses\": [{\"expression\": \"%s\"}]}\n", licence
        }' Cargo.lock - <<<"$tree"
}

# Each package with those that it uses. A package that occurs again is marked, and what it uses is not repeated.
dependencies() {
    awk -F '\t' '{
        depth = $1
        sub(/[^0-9].*/, "", depth)
        sub(/^[0-9]+/, "", $1)
        split($1, package, " ")
        at[depth] = package[1] "@" substr(package[2], 2)
        if (depth == 0) at[0] = "'"$program"'"
        else print at[depth - 1] "\t" at[depth]
    }' <<<"$tree" | sort -u | awk -F '\t' -v std="rust-std@$rust" '
        $1 != package { if (package != "") print line "]}"; package = $1
            line = "{\"ref\": \"" $1 "\", \"dependsOn\": [" ($1 == "'"$program"'" ? "\"" std "\", " : ""); comma = "" }
        { line = line comma "\"" $2 "\""; comma = ", " }
        END { print line "]}" }'
}

cat <<END
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "metadata": {
    "component": {"type": "application", "bom-ref": "$program", "name": "$program", "version": "$version", "licenses": [{"expression": "Apache-2.0"}]$hashes}
  },
  "components": [
$(components | list)
  ],
  "dependencies": [
$(dependencies | list)
  ]
}
END
