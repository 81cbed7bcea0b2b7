# Counts what `cargo test` printed, for the last line of `make test`.
# Variables: status, the exit status of cargo; skipped, a file with a line `test<TAB>why` for each test that could not run here.

/^running [0-9]+ tests?$/ { running++ }

/^test result: / {
	ended++
	for (i = 2; i <= NF; i++) {
		if ($i == "passed;") passed += $(i - 1)
		if ($i == "failed;") failed += $(i - 1)
		if ($i == "ignored;") left_out += $(i - 1)
	}
}

END {
	while ((getline line < skipped) > 0) {
		split(line, part, "\t")
		if (!(part[1] in seen)) {
			seen[part[1]] = 1
			could_not++
			print "skipped: " part[1] ": " part[2]
		}
	}
	# A program that crashed has no result, one that was not built has not even begun.
	failed += running - ended
	if (status != 0 && failed == 0) failed = 1
	printf "%d passed, %d failed, %d skipped\n", passed - could_not, failed, could_not + left_out
}
