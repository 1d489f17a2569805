#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Of the service: `launch check` reports in one line why the collector cannot
# start and what to do about it; `launch run` becomes the collector.
# The variables of otelcol-infra.env are in the environment.
set -uf

etc=/etc/otelcol-infra
env=$etc/otelcol-infra.env
bin=/usr/bin/otelcol-infra
: "${STATE_DIRECTORY:=/var/lib/otelcol-infra}"
start="then run: systemctl restart otelcol-infra"
[ -e /run/openrc ] && start="then run: rc-service otelcol-infra restart"

wrong=78 # of sysexits.h: EX_CONFIG
state=74 # EX_IOERR

# fail STATUS MESSAGE. The prefix makes it an error in systemd's journal.
fail() {
	printf '%s%s, %s\n' "${INVOCATION_ID:+<3>}" "$2" "$start" >&2
	exit "$1"
}

readable() {
	[ -e "$1" ] || fail $wrong "$2 $1 does not exist: create it, or correct its name in $env"
	[ -r "$1" ] || fail $wrong "$2 $1 cannot be read by $(id -un): run: chgrp $(id -gn) $1 && chmod 0640 $1"
}

# Of the check. A mebibyte is enough for new files of the queue and the receivers.
writable() {
	probe=$STATE_DIRECTORY/.probe
	reason=$(LC_ALL=C dd if=/dev/zero of="$probe" bs=65536 count=16 2>&1)
	status=$?
	rm -f "$probe"
	[ $status = 0 ] && return
	case $reason in
	*"No space"* | *quota*) fail $state "no space is left in $STATE_DIRECTORY, what is stored there is kept: free 1 MiB or more" ;;
	*"Read-only"*) fail $state "$STATE_DIRECTORY is read-only, what is stored there is kept: mount it read-write" ;;
	*) fail $state "$STATE_DIRECTORY cannot be written by $(id -un), ${reason##*: }: give it to that user, with mode 0700" ;;
	esac
}

# Of the check. A variable without a default, such as ${env:GATEWAYS}, has to be set.
required() {
	for variable in $(sed -n 's/^[^#]*${env:\([A-Z0-9_]*\)}.*/\1/p' $configurations | sort -u); do
		[ "$variable" = GATEWAYS ] && [ -n "${GATEWAYS_DNS:-}" ] && continue # gateway-dns.yaml takes its place.
		eval "value=\${$variable:-}"
		[ -n "$value" ] || fail $wrong "$variable is not set, and the configuration needs it: set it in $env"
	done
}

# Of the check. Only a configuration that names a variable needs its file.
secrets() {
	while read -r variable default; do
		eval "path=\${$variable:-$default}"
		for file in $configurations; do
			if [ -n "$path" ] && grep -q "$variable" "$file"; then
				readable "$path" "$variable:"
			fi
		done
	done <<-END
		CONSUL_HTTP_TOKEN_FILE
		VAULT_TOKEN_FILE
		ETCD_PASSWORD_FILE
		TLS_CA_FILE $etc/tls/ca.crt
		TLS_CERT_FILE $etc/tls/tls.crt
		TLS_KEY_FILE $etc/tls/tls.key
	END
}

action=${1:-}
configurations=
set --
for name in ${CONFIG:-}; do
	case $name in
	/*) file=$name ;;
	*) file=$etc/$name ;;
	esac
	readable "$file" "CONFIG:"
	set -- "$@" --config "$file"
	configurations="$configurations $file"
done
[ $# != 0 ] || fail $wrong "no configuration is chosen: set CONFIG in $env, such as CONFIG=\"standalone.yaml\""
set -- "$@" --config "$etc/status.yaml" --feature-gates=extension.healthcheck.useComponentStatus

# Unless it is set, the limit is the default of the first configuration.
[ -n "${MEMORY_LIMIT_MIB:-}" ] ||
	MEMORY_LIMIT_MIB=$(sed -n '/MEMORY_LIMIT_MIB:-/{s/.*MEMORY_LIMIT_MIB:-\([0-9]*\)}.*/\1/p;q;}' $configurations)
case ${MEMORY_LIMIT_MIB:=512} in
*[!0-9]* | 0*) fail $wrong "MEMORY_LIMIT_MIB in $env is not a number: write MiB, such as 512" ;;
esac
# Go collects garbage before the collector refuses data.
export MEMORY_LIMIT_MIB GOMEMLIMIT="${GOMEMLIMIT:-$((MEMORY_LIMIT_MIB * 8 / 10))MiB}"

case $action in
check)
	required
	secrets
	writable
	reason=$("$bin" validate "$@" 2>&1) ||
		fail $wrong "the configuration is refused: $(printf '%s' "$reason" | tr -s '[:space:]' ' '): correct $CONFIG or $env"
	;;
run) exec "$bin" "$@" ;;
*) fail 64 "usage: $0 check|run" ;;
esac
