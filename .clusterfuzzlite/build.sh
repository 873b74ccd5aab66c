#!/bin/bash -eu
# Fills $OUT as ClusterFuzzLite and OSS-Fuzz expect it: a program for each target, its seeds, its options.
#
# The targets are two programs, which take a target's name from a variable and libFuzzer's arguments from their own. A name
# with an ending is no fuzzer for those who look for fuzzers; a script that has the word LLVMFuzzerTestOneInput in it is one.
#
# Without Docker: SRC=$(mktemp -d) OUT=$(mktemp -d) .clusterfuzzlite/build.sh, and then $OUT/engine -runs=1000

cd "$(dirname "$(readlink -f "$0")")"
if [ -d "${SRC:-}/conntruth" ]; then cd "$SRC/conntruth"; else cd ..; fi

# Sanitizers want a flag that only nightly compilers take, or those that are told to.
export RUSTC_BOOTSTRAP=1
[ -n "${FUZZ_BUILT:-}" ] || .ci/fuzz --build
cp target/fuzz/engine "$OUT/conntruth-engine.bin"
cp target/fuzz/main "$OUT/conntruth-main.bin"

for target in $(.ci/fuzz --list); do
    # Their machines have no namespaces to put a kernel's tracker into.
    [ "$target" = differential ] && continue
    cat >"$OUT/$target" <<SCRIPT
#!/bin/bash
# LLVMFuzzerTestOneInput: this is a fuzzer.
CONNTRUTH_FUZZ=$target exec "\$(dirname "\$0")/conntruth-$(basename "$(.ci/fuzz --program "$target")").bin" "\$@"
SCRIPT
    chmod +x "$OUT/$target"
    printf '[libfuzzer]\nmax_len = 4096\ntimeout = 20\nentropic = 0\n' >"$OUT/$target.options"
    seeds=tests/fuzz/__fuzz__/$target
    if [ -n "$(find "$seeds" -type f 2>/dev/null)" ]; then
        (cd "$seeds" && find . -type f ! -name '.*' | zip -q -@ "$OUT/${target}_seed_corpus.zip")
    fi
done
