# Sourced by the other scripts: where the locally installed speech libraries are, and whether to build with them.
#
# Sets ROOT (the repository), PKG_CONFIG_PATH and PRONTO_TRAITS. PRONTO_TRAITS is `--traits LocalSpeech …` when
# `.deps` is complete, and empty, with the reason on standard error, when it is not: Pronto then builds without the neural
# voice-activity detector, and an energy detector serves. Pass it unquoted: `swift build $PRONTO_TRAITS`.

ROOT="${ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
DEPS="$ROOT/.deps"

# The versions that Pronto was tested with; scripts/install fetches exactly these.
SHERPA_VERSION=2.0.1
SILERO_VERSION=6.2.3
PIPER_VERSION=1.8.0
VOICE_VERSION=1.0.0
# The newest that brings its model along.
MOONSHINE_VERSION=0.0.73

# Prints what of `.deps` is missing, one word or path; nothing when it is complete.
pronto_missing_deps() {
    local file
    [ "$(cat "$DEPS/versions" 2>/dev/null)" = "sherpa-onnx-core $SHERPA_VERSION, silero-vad $SILERO_VERSION" ] \
        || { echo "versions"; return; }
    for file in include/sherpa-onnx/c-api/c-api.h lib/libsherpa-onnx-c-api.so lib/libonnxruntime.so \
        models/silero_vad_16k_op15.onnx pkgconfig/sherpa-onnx.pc; do
        [ -s "$DEPS/$file" ] || { echo "$file"; return; }
    done
    # The .pc file names absolute paths: a moved clone must be installed again.
    grep -qxF "prefix=$DEPS" "$DEPS/pkgconfig/sherpa-onnx.pc" || echo "pkgconfig/sherpa-onnx.pc (the clone was moved)"
}

# The same for what only `scripts/install --with-piper` and `--with-models` fetch.
pronto_missing_piper() {
    [ "$(cat "$DEPS/piper/version" 2>/dev/null)" = "$PIPER_VERSION" ] || { echo "piper/version"; return; }
    # A virtual environment names absolute paths: in a moved clone its programs do not start.
    head -1 "$DEPS/piper/bin/piper" 2>/dev/null | grep -qF "$DEPS/piper" || echo "piper/bin/piper"
}
pronto_missing_models() {
    local file
    [ "$(cat "$DEPS/voices/version" 2>/dev/null)" = "$VOICE_VERSION, $MOONSHINE_VERSION" ] \
        || { echo "voices/version"; return; }
    for file in voices/en_US-joe-medium.onnx voices/en_US-joe-medium.onnx.json \
        recognisers/tiny-en/encoder_model.ort recognisers/tiny-en/decoder_model_merged.ort \
        recognisers/tiny-en/tokenizer.bin; do
        [ -s "$DEPS/$file" ] || { echo "$file"; return; }
    done
}

PRONTO_TRAITS=""
_pronto_missing="$(pronto_missing_deps)"
if [ -n "${PRONTO_NO_LOCAL_SPEECH:-}" ]; then
    echo "speech: building without LocalSpeech (PRONTO_NO_LOCAL_SPEECH is set)" >&2
elif [ -z "$_pronto_missing" ]; then
    export PKG_CONFIG_PATH="$DEPS/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    # SwiftPM refuses an rpath in a .pc file, so the linker gets it here.
    PRONTO_TRAITS="--traits LocalSpeech -Xlinker -rpath -Xlinker $DEPS/lib"
    case "$DEPS" in *[[:space:]]*)
        echo "speech: building without LocalSpeech: the clone's path holds a space" >&2
        PRONTO_TRAITS="" ;;
    esac
else
    echo "speech: building without LocalSpeech: .deps lacks $_pronto_missing (scripts/install fetches it)" >&2
fi
unset _pronto_missing
export ROOT DEPS PRONTO_TRAITS
