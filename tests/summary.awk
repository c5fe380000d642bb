# Summarizes the output of `cargo test -- -Z unstable-options --report-time`: why tests failed, the duration and the five
# slowest tests of each binary, and the totals. Exits with 1 when no test passed.

/^ +Running / { binary = $2 == "unittests" ? $3 " (unit)" : $2; folder = $NF; sub(/.*\/deps\//, "", folder); sub(/-[0-9a-f]+\)$/, "", folder); binary = folder ": " binary; tests = 0 }
/^ +Doc-tests / { binary = "doc tests of " $2; tests = 0 }
/^test .* \.\.\. .*<[0-9.]+s>$/ {
  seconds = $NF; gsub(/[<>s]/, "", seconds)
  tests++; time[tests] = seconds + 0; name[tests] = $2
}
/^test result:/ {
  passed += $4; failed += $6; skipped += $8
  if (tests == 0) next
  durations = durations sprintf("%8.1f s  %s, %d tests\n", $(NF) + 0, binary, tests)
  for (rank = 1; rank <= 5 && rank <= tests; rank++) {
    slowest = 1
    for (i = 2; i <= tests; i++) if (time[i] > time[slowest]) slowest = i
    durations = durations sprintf("%16.1f s  %s\n", time[slowest], name[slowest])
    time[slowest] = -1
  }
}
/ panicked at / { lines = 5 }
lines > 0 { lines--; reasons = reasons substr($0, 1, 400) "\n" }
END {
  printf "\n%s\n", durations
  if (failed) printf "%s\n", reasons
  printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit passed == 0
}
