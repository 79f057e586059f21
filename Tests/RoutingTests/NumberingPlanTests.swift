import Testing

@testable import Routing

@Suite("Numbers of a tenant")
struct NumberingPlanTests {
    @Test(
        "One DID in every way that carriers write it",
        arguments: [
            // Italy: the zero belongs to the number.
            ("39", "+39061234567", "+39061234567"), ("39", "0039061234567", "+39061234567"),
            ("39", "061234567", "+39061234567"), ("39", "390686356924", "+390686356924"),
            ("39", "+39 06 1234-567", "+39061234567"), ("39", "3331234567", "+393331234567"),
            ("39", "393331234567", "+393331234567"), ("39", "3931234567", "+393931234567"),
            // Brazil: a zero is dialed before the area.
            ("55", "01155551234", "+551155551234"), ("55", "1155551234", "+551155551234"),
            ("55", "5511987654321", "+5511987654321"), ("55", "11987654321", "+5511987654321"),
            ("55", "5540659442", "+555540659442"), ("55", "00390612345", "+390612345"),
            // North America: 1 and 011.
            ("1", "12025550123", "+12025550123"), ("1", "2025550123", "+12025550123"),
            ("1", "01139061234567", "+39061234567"),
            // Others of the table, and a country without an entry.
            ("36", "0612345678", "+3612345678"), ("7", "84951234567", "+74951234567"),
            ("44", "02079460000", "+442079460000"),
            // No country: what has no plus is whole already.
            ("", "5406594427", "+5406594427"), ("", "0039061234567", "+39061234567"),
            ("", "+5406594427", "+5406594427"),
        ])
    func likeliest(country: String, text: String, number: String) throws {
        let plan = country.isEmpty ? NumberingPlan() : try #require(NumberingPlan(country: country))
        #expect(plan.number(text) == number)
    }

    @Test("A text that can stand for two numbers is tried as both, the likeliest first")
    func ambiguous() throws {
        let italy = try #require(NumberingPlan(country: "+39"))
        #expect(italy.forms(of: "390686356924") == ["+390686356924", "+39390686356924"])
        #expect(italy.forms(of: "3931234567") == ["+393931234567", "+3931234567"])
        #expect(italy.forms(of: "+39061234567") == ["+39061234567"])
    }

    @Test(
        "What is no number has no form",
        arguments: [
            "", "+", "anonymous", "++39061234567", "39+06", "+0612345", "+3906123456789012", "06 12\n34", "%2B39",
            "' OR 1=1 --", "+39061234567;ext=1", "٠٦١٢٣٤٥٦٧", String(repeating: "1", count: 33),
        ])
    func none(text: String) throws {
        #expect(NumberingPlan().forms(of: text).isEmpty)
        #expect(try #require(NumberingPlan(country: "39")).forms(of: text).isEmpty)
    }

    @Test("A country code is 1 to 3 digits", arguments: ["", "+", "0", "039", "1234", "IT", "3９"])
    func country(text: String) { #expect(NumberingPlan(country: text) == nil) }
}
