#!/bin/sh
# Makes the certificates of the tests anew, beside this script, and those that smtpkit.testing ships.  For tests only:
# the keys are public.
#
# Dates are fixed, so that the files do not depend on the day they were made on, and reach to 2099.  Every
# certificate keeps to RFC 5280 as OpenSSL's strict mode reads it.  The authority's key is thrown away.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
touch index.txt

cat >ca.cnf <<'CONFIG'
[ca]
default_ca = authority
[authority]
new_certs_dir = .
database = index.txt
rand_serial = yes
unique_subject = no
default_md = sha256
policy = subject
email_in_dn = no
[subject]
commonName = supplied
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $ENV::PURPOSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $ENV::NAMES
[self]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = $ENV::NAMES
CONFIG

# issue NAME SUBJECT SECTION [OPTION...]: a new key, and a certificate from 2024 to $UNTIL
issue() {
    name=$1 subject=$2 section=$3
    shift 3
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$name.key"
    openssl req -new -key "$name.key" -subj "/CN=$subject" -config /dev/null -out "$name.csr"
    openssl ca -batch -notext -config ca.cnf -extensions "$section" "$@" \
        -startdate 20240101000000Z -enddate "$UNTIL" -in "$name.csr" -out "$name.crt" 2>log || { cat log >&2; exit 1; }
}
by_ca="-cert ca.crt -keyfile ca.key"

export NAMES=DNS:unused PURPOSE=serverAuth
UNTIL=20991231235959Z
issue ca "smtpkit test CA (for tests only)" root -selfsign -keyfile ca.key
NAMES=DNS:localhost,IP:127.0.0.1,IP:::1
issue server localhost leaf $by_ca
issue self-signed localhost self -selfsign -keyfile self-signed.key
UNTIL=20240201000000Z
issue expired localhost leaf $by_ca
UNTIL=20991231235959Z
NAMES=DNS:elsewhere.example
issue wrong-name elsewhere.example leaf $by_ca
NAMES=email:client@example.com PURPOSE=clientAuth
issue client client@example.com leaf $by_ca

# `smtpkit.testing` ships those of the server, which its users' tests trust.
shipped=$here/../../smtpkit/testing/certificates
ship() { { echo "$1"; cat "$2"; } >"$shipped/$3.pem"; }

cp ca.crt "$here/ca.pem"
ship "For tests only." ca.crt ca
for name in server self-signed expired wrong-name client; do
    cat "$name.crt" "$name.key" >"$here/$name.pem"
done
for name in self-signed expired wrong-name; do
    ship "For tests only: this key is public." "$here/$name.pem" "$name"
done
ship "For tests only: this key is public." "$here/server.pem" valid
