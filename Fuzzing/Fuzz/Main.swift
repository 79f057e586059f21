import CFuzzer
import Glibc

// pronto-fuzz: every decoder under libFuzzer (scripts/fuzz), and a way to look at what it found.
//
//     PRONTO_FUZZ=<decoder> pronto-fuzz [libFuzzer's options] <corpus>    in a build with -sanitize=fuzzer -D FUZZING
//     PRONTO_FUZZ=<decoder> pronto-fuzz <file>…                           in any other: feeds the files
//     pronto-fuzz --list | --seeds <folder>                               in both

/// Read by libFuzzer's callback, which takes no context. Set once, before the first call, on one thread.
nonisolated(unsafe) private var chosen = FuzzedDecoder.jsonScan

@main
struct Main {
    static func main() {
        let words: [String] = Array(CommandLine.arguments.dropFirst())
        if words == ["--list"] {
            for decoder in FuzzedDecoder.allCases { print(decoder.rawValue) }
            return
        }
        if words.first == "--seeds", words.count == 2 {
            exit(Seeds.write(to: words[1]) ? 0 : 1)
        }
        guard let name = getenv("PRONTO_FUZZ"), let decoder = FuzzedDecoder(rawValue: String(cString: name)) else {
            print("pronto-fuzz: PRONTO_FUZZ names the decoder; --list prints their names")
            exit(2)
        }
        chosen = decoder
        exit(run(words))
    }

    #if FUZZING
        private static func run(_ words: [String]) -> Int32 {
            var count: Int32 = CommandLine.argc
            var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
            return LLVMFuzzerRunDriver(&count, &arguments) { data, size in
                chosen.feed(UnsafeRawBufferPointer(start: data, count: size))
                return 0
            }
        }
    #else
        private static func run(_ words: [String]) -> Int32 {
            for path in words {
                guard let bytes = Files.read(path) else {
                    print("pronto-fuzz: a file cannot be read")
                    return 1
                }
                bytes.withUnsafeBytes { chosen.feed($0) }
            }
            print("\(words.count) files, no finding")
            return 0
        }
    #endif
}
