# Shows the first captions of a batch, numbered.
cd "$(dirname "$0")" || exit 1
echo "captions:"
python3 captions.py --images 400 | head -n 5 | nl
status=$?
echo "status $status"
exit $status
