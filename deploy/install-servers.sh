#!/bin/sh
# Install what the tests and `linewarden dev up` need beside Python: Redis, Mosquitto, Java and Maven (for Kafka),
# GStreamer's RTSP server, Aravis with its software camera and what its Python binding is built with, Chromium for the
# console's pages, and Helm, which Go builds. Debian and its relatives; can be run again at any time. What cannot be had is told in
# a line; the exit status is then 0, so that a workstation goes on with what it has, or 1 where CI=true.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
missing=""
trouble=""

tell() { printf 'install-servers: %s\n' "$*"; }

fail() {
    tell "$*"
    trouble=yes
}

need() { # PACKAGE...: those that are not installed join the list
    for package in "$@"; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing="$missing $package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Debian's redis-server and mosquitto start services when they are installed; the servers here are started by those who use them.
# A policy-rc.d of ours says no to that for so long, unless the machine has a policy of its own.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        as_root "$@"
        return
    fi
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    as_root "$@"
    status=$?
    as_root rm -f "$policy"
    trap - EXIT HUP INT TERM
    return "$status"
}

install_packages() {
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        fail "cannot install$missing: neither root nor sudo; ask an administrator for them"
        return
    fi
    tell "installing$missing"
    as_root apt-get -q update || tell "apt-get update failed; going on with the lists that are here"
    # shellcheck disable=SC2086 # a list of names, split on purpose
    without_services env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install --yes --no-install-recommends $missing || fail "apt-get could not install$missing"
}

find_python() {
    python="$root/.venv/bin/python"
    [ -x "$python" ] || python=$(command -v python3) || python=""
}

warm_kafka() {
    find_python
    if [ -z "$python" ]; then
        fail "no Python to fetch Kafka's jars with; the first test with Kafka will fetch them"
        return
    fi
    (cd "$root" && "$python" -m deploy.servers.kafka_warm) || fail "Kafka's jars could not be fetched"
}

# Debian 12's Go is too old for Helm, so that one of the user's own is used.
fetch_helm() {
    find_python
    if [ -z "$python" ]; then
        fail "no Python to fetch Helm with; the chart's tests will be skipped"
        return
    fi
    (cd "$root" && "$python" -m deploy.servers.helm_tools) || fail "Helm could not be fetched; the chart's tests will be skipped"
}

if command -v dpkg >/dev/null && command -v apt-get >/dev/null; then
    need redis-server mosquitto python3-gi gir1.2-gst-rtsp-server-1.0 \
        gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly \
        gstreamer1.0-plugins-bad \
        aravis-tools gir1.2-aravis-0.8 libgirepository1.0-dev libcairo2-dev gcc libc6-dev pkg-config \
        chromium fonts-dejavu-core
    command -v java >/dev/null || need default-jre-headless
    command -v mvn >/dev/null || need maven
    [ -z "$missing" ] || install_packages
else
    fail "not a Debian system: install Redis, Mosquitto, Java 17, Maven, Aravis, Chromium and GStreamer's RTSP server with Python bindings yourself"
fi
if command -v java >/dev/null && command -v mvn >/dev/null; then
    warm_kafka
else
    fail "Kafka's jars were not fetched: Java or Maven is missing"
fi
fetch_helm

if [ -z "$trouble" ]; then
    tell "all servers are here"
elif [ "${CI:-}" = true ]; then
    exit 1
fi
