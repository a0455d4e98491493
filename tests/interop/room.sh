#!/bin/sh
# Run a program in a private root: this machine's files, with Debian packages unpacked over them, and users and settings
# of its own.  What is written there is in memory, and gone with the program; /shared alone is a folder outside.
#
#   unshare --mount --pid --fork --kill-child sh room.sh FOLDER PROGRAM [ARGUMENT…]
#
# FOLDER has: packages/*.deb; files/, laid over the root; passwd and group, added to the machine's; shared/.
set -eu
folder=$1
shift

mkdir -p "$folder/memory"
mount -t tmpfs -o mode=755 memory "$folder/memory"
cd "$folder/memory"
mkdir upper work root
mount -t overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" overlay root
for package in "$folder"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C root
done
cat "$folder/passwd" >>root/etc/passwd
cat "$folder/group" >>root/etc/group
cp -R "$folder/files/." root/
mkdir root/shared
mount --bind "$folder/shared" root/shared
mount -t proc proc root/proc
mount --rbind /dev root/dev
exec chroot root "$@"
