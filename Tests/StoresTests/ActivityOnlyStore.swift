import Foundation
import Records
import Routing
import Telephony

/// A store of which the activity log asks nothing but `log`; the rest is empty.
protocol ActivityOnlyStore: RoutingStore {}

extension ActivityOnlyStore {
    func routingRows(of tenants: Set<TenantID>?) async throws(StoreError) -> RoutingRows { RoutingRows() }
    func trunkSettings(of tenant: TenantID) async throws(StoreError) -> [TrunkSettings] { [] }
    func save(_ settings: TrunkSettings, of tenant: TenantID) async throws(StoreError) {}
    func removeTrunkSettings(_ id: RouteID, of tenant: TenantID) async throws(StoreError) -> Bool { false }
    func agents(of tenant: TenantID) async throws(StoreError) -> [AgentRow] { [] }
    func save(_ agent: AgentRow, of tenant: TenantID) async throws(StoreError) {}
    func removeAgent(_ id: AssistantID, of tenant: TenantID) async throws(StoreError) -> Bool { false }
    func calendars(of tenant: TenantID) async throws(StoreError) -> [CalendarRow] { [] }
    func save(_ calendar: CalendarRow, of tenant: TenantID) async throws(StoreError) {}
    func removeCalendar(_ id: CalendarID, of tenant: TenantID) async throws(StoreError) -> Bool { false }
    func save(_ defaults: RoutingTenantRow, of tenant: TenantID) async throws(StoreError) {}
    func activity(
        of tenant: TenantID, before: Date?, limit: Int
    ) async throws(StoreError) -> [ActivityRecord] { [] }
}
