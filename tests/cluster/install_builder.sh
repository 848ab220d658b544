#!/usr/bin/env bash
# What tests/cluster/test_image.py builds the image with, where Debian's packages may be installed; elsewhere that test says
# what is missing and is skipped.
set -u
command -v buildah >/dev/null && command -v mmdebstrap >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah mmdebstrap; } >/dev/null 2>&1 && exit 0
fi
echo "buildah and mmdebstrap are not here and cannot be installed: the image will not be built"
