# Arguments: a folder, then a program with its arguments. Runs the program with the host's files, and FOLDER/tekton as
# /tekton, without leaving anything in the host's root folder, in pod bench-pod. To be run in mount and UTS namespaces of
# its own.
pod=$1; shift
mkdir "$pod/root"
mount -t tmpfs none "$pod/root"
for entry in /*; do
	if [ -L "$entry" ]; then cp -P "$entry" "$pod/root$entry"
	elif [ -d "$entry" ] && [ "$entry" != /tekton ]; then mkdir "$pod/root$entry"; mount --rbind "$entry" "$pod/root$entry"
	fi
done
mkdir "$pod/root/tekton"
mount --bind "$pod/tekton" "$pod/root/tekton"
echo bench-pod >/proc/sys/kernel/hostname
exec chroot "$pod/root" "$@"
