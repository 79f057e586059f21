import Foundation
import Testing

@testable import Configuration

@Suite("The page of the configuration")
struct PageTests {
    @Test("docs/configuration.md is what `pronto config --markdown` writes")
    func committed() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/configuration.md"), encoding: .utf8)
        #expect(page == ConfigurationPage.markdown(), "run: pronto config --markdown > docs/configuration.md")
    }

    @Test("Every key has a name of its own, an allowed default and a sentence")
    func table() {
        let names = SettingKeys.all.map(\.name)
        #expect(names.count > 40)
        #expect(Set(names).count == names.count)
        #expect(Set(names).isDisjoint(with: SettingKeys.unreadReasons.keys))
        for setting in SettingKeys.all {
            #expect(DotEnv.isName(setting.name) && setting.name == setting.name.uppercased())
            #expect(setting.documentation.hasSuffix("."), "\(setting.name)")
            if let text = setting.defaultText { #expect(setting.value(of: text) != nil, "\(setting.name)") }
        }
        #expect(SettingKeys.headings.allSatisfy { names.contains($0.first) })
    }
}
