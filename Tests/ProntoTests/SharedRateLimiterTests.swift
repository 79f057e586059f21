import AdminAPI
import Testing

@testable import pronto

@Suite("Whose requests all nodes count together")
struct SharedRateLimiterTests {
    @Test("Names that begin alike have a count each, whatever stands in them, and however long they are")
    func buckets() {
        // A client of signed tokens is named after its key, whose id is of its tenant's choosing.
        let long = String(repeating: "a-key-of-many-words-", count: 10)
        let names = [
            "", "a", "a b", "a-b", "a\nb", "é", long, long + "1", long + "2", "00000000-0000-4000-8000-00000000000a",
        ]
        let kinds: [RateKey.Kind] = [.client, .tenant, .refusals, .routing]
        let buckets = kinds.flatMap { kind in names.map { SharedRateLimiter.bucket(of: RateKey(kind, $0)) } }
        #expect(Set(buckets).count == kinds.count * names.count)
        for bucket in buckets {
            #expect(bucket.utf8.count <= 80 && bucket.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "\(bucket)")
        }
        #expect(
            SharedRateLimiter.bucket(of: RateKey(.client, long)) == SharedRateLimiter.bucket(of: RateKey(.client, long))
        )
    }
}
