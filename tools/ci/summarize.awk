# Sums the result lines of every test program in a log, and names what was skipped.
#
# A test that could not run here prints `SKIPPED name: why` and returns, so the harness counts it as passed; it is taken
# from the passed ones here, once a name. A step that is no test program reports itself as `STEP name: ok|FAILED|SKIPPED`.

/^test result: / {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) ~ /^passed/) passed += $i
        if ($(i + 1) ~ /^failed/) failed += $i
        if ($(i + 1) ~ /^ignored/) ignored += $i
    }
}

match($0, /SKIPPED [A-Za-z0-9_:-]+: /) {
    name = substr($0, RSTART + 8, RLENGTH - 10)
    if (!(name in reason)) {
        reason[name] = substr($0, RSTART + RLENGTH)
        order[++skipped] = name
    }
}

/^STEP .*: ok$/ { passed++ }
/^STEP .*: FAILED$/ { failed++; sub(/^STEP /, ""); broken[++steps] = $0 }
/^STEP .*: SKIPPED/ { sub(/^STEP /, ""); bystander[++absent] = $0 }

END {
    print ""
    for (i = 1; i <= skipped; i++) printf "skipped  %s: %s\n", order[i], reason[order[i]]
    for (i = 1; i <= absent; i++) printf "skipped  %s\n", bystander[i]
    for (i = 1; i <= steps; i++) printf "failed   %s\n", broken[i]
    printf "%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped + ignored + absent
    exit failed > 0
}
