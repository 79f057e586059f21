import Records
import Telephony

/// What is said to Redis. Each change of several keys is one Lua script: Redis runs it alone, so that no node ever sees
/// half of it, and its clock is the only one that counts.
///
/// By EVAL, with the text each time (some hundred bytes): after a restart or a failover there is nothing to load first.
package struct NodeScripts: Sendable {
    package let keys: NodeKeys
    /// This process, since its start.
    package let instance: String

    /// A node that has not been heard for so long is not asked any more: its calls may be answered anew.
    package static let silence: Duration = .seconds(3)
    /// What a dead node leaves behind goes by itself after so long.
    package static let residue: Duration = .seconds(15)

    package init(keys: NodeKeys, instance: String) {
        self.keys = keys
        self.instance = instance
    }

    private static let clock = """
        local t = redis.call('TIME')
        local now = t[1] * 1000 + math.floor(t[2] / 1000)

        """

    private func eval(_ script: String, _ keys: [String], _ arguments: [String]) -> RedisCommand {
        RedisCommand(["EVAL", script, String(keys.count)] + keys + arguments)
    }

    private func text(_ duration: Duration) -> String { String(duration.milliseconds) }

    // MARK: Calls

    /// → `{"taken"}`, `{"elsewhere", name}` or `{"full", calls}`.
    package func claim(_ call: CallID, of tenant: TenantID, limit: Int) -> RedisCommand {
        let script =
            Self.clock + """
                local me, prefix, call, tenant = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
                local total = tonumber(redis.call('HGET', KEYS[3], tenant) or '0')
                for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[6], '+inf')) do
                  if node ~= me then
                    if redis.call('HEXISTS', prefix .. ':calls:' .. node, call) == 1 then
                      return {'elsewhere', redis.call('HGET', prefix .. ':node:' .. node, 'name') or ''}
                    end
                    total = total + tonumber(redis.call('HGET', prefix .. ':load:' .. node, tenant) or '0')
                  end
                end
                if redis.call('HEXISTS', KEYS[2], call) == 1 then return {'taken'} end
                if total >= tonumber(ARGV[5]) then return {'full', total} end
                redis.call('HSET', KEYS[2], call, tenant .. ' ' .. now)
                redis.call('HINCRBY', KEYS[3], tenant, 1)
                redis.call('PEXPIRE', KEYS[2], ARGV[7])
                redis.call('PEXPIRE', KEYS[3], ARGV[7])
                return {'taken'}
                """
        return self.eval(
            script, [self.keys.nodes, self.keys.calls(self.instance), self.keys.load(self.instance)],
            [
                self.instance, self.keys.prefix, call.text, tenant.text, String(limit), self.text(Self.silence),
                self.text(Self.residue),
            ])
    }

    package func release(_ call: CallID) -> RedisCommand {
        let script = """
            local held = redis.call('HGET', KEYS[1], ARGV[1])
            if not held then return 0 end
            redis.call('HDEL', KEYS[1], ARGV[1])
            local tenant = string.match(held, '^%S+')
            if redis.call('HINCRBY', KEYS[2], tenant, -1) <= 0 then redis.call('HDEL', KEYS[2], tenant) end
            return 1
            """
        return self.eval(
            script, [self.keys.calls(self.instance), self.keys.load(self.instance)], [call.text])
    }

    /// Writes all that this node holds, in place of what Redis may have of it.
    package func restate(_ calls: [CallID: TenantID]) -> RedisCommand {
        let script =
            Self.clock + """
                redis.call('DEL', KEYS[1], KEYS[2])
                for i = 2, #ARGV, 2 do
                  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. now)
                  redis.call('HINCRBY', KEYS[2], ARGV[i + 1], 1)
                end
                redis.call('PEXPIRE', KEYS[1], ARGV[1])
                redis.call('PEXPIRE', KEYS[2], ARGV[1])
                return redis.call('HLEN', KEYS[1])
                """
        return self.eval(
            script, [self.keys.calls(self.instance), self.keys.load(self.instance)],
            [self.text(Self.residue)] + calls.flatMap { [$0.key.text, $0.value.text] })
    }

    /// The sign of life. → `{calls that Redis has of this node, nodes that live}`.
    package func heartbeat(_ node: NodeState) -> RedisCommand {
        let script =
            Self.clock + """
                redis.call('ZADD', KEYS[1], now, ARGV[1])
                redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
                redis.call('HSET', KEYS[2], 'name', ARGV[3], 'state', ARGV[4], 'calls', ARGV[5], 'address', ARGV[6])
                redis.call('PEXPIRE', KEYS[2], ARGV[2])
                redis.call('PEXPIRE', KEYS[3], ARGV[2])
                redis.call('PEXPIRE', KEYS[4], ARGV[2])
                return {redis.call('HLEN', KEYS[3]), redis.call('ZCOUNT', KEYS[1], now - ARGV[7], '+inf')}
                """
        return self.eval(
            script,
            [
                self.keys.nodes, self.keys.node(self.instance), self.keys.calls(self.instance),
                self.keys.load(self.instance),
            ],
            [
                self.instance, self.text(Self.residue), node.name, node.isDraining ? "draining" : "serving",
                String(node.calls), node.address, self.text(Self.silence),
            ])
    }

    /// The last word: this node's calls are nobody's any more, at once.
    package var farewell: RedisCommand {
        let script = """
            redis.call('ZREM', KEYS[1], ARGV[1])
            return redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
            """
        return self.eval(
            script,
            [
                self.keys.nodes, self.keys.node(self.instance), self.keys.calls(self.instance),
                self.keys.load(self.instance),
            ], [self.instance])
    }

    /// → the nodes that live: `{{name, state, calls, address, milliseconds since}, …}`.
    package var nodes: RedisCommand {
        let script =
            Self.clock + """
                local found = {}
                local heard = redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[2], '+inf', 'WITHSCORES')
                for i = 1, #heard, 2 do
                  local node = redis.call('HMGET', ARGV[1] .. ':node:' .. heard[i], 'name', 'state', 'calls', 'address')
                  if node[1] then
                    table.insert(node, now - tonumber(heard[i + 1]))
                    table.insert(found, node)
                  end
                end
                return found
                """
        return self.eval(script, [self.keys.nodes], [self.keys.prefix, self.text(Self.silence)])
    }

    // MARK: Circuits

    package func open(_ circuit: CircuitName, pause: Duration, news: String) -> RedisCommand {
        let script =
            Self.clock + """
                redis.call('HSET', KEYS[1], ARGV[1], now + ARGV[2])
                redis.call('PEXPIRE', KEYS[1], 86400000)
                redis.call('DEL', KEYS[2])
                return redis.call('PUBLISH', ARGV[3], ARGV[4])
                """
        let name = Self.text(of: circuit)
        return self.eval(
            script, [self.keys.circuits, self.keys.probe(name)], [name, self.text(pause), self.keys.news, news])
    }

    package func close(_ circuit: CircuitName, news: String) -> RedisCommand {
        let script = """
            redis.call('HDEL', KEYS[1], ARGV[1])
            redis.call('DEL', KEYS[2])
            return redis.call('PUBLISH', ARGV[2], ARGV[3])
            """
        let name = Self.text(of: circuit)
        return self.eval(script, [self.keys.circuits, self.keys.probe(name)], [name, self.keys.news, news])
    }

    /// → `{circuit, milliseconds left, …}`; what is a day beyond its time is swept away.
    package var circuits: RedisCommand {
        let script =
            Self.clock + """
                local open = {}
                local all = redis.call('HGETALL', KEYS[1])
                for i = 1, #all, 2 do
                  local left = tonumber(all[i + 1]) - now
                  if left < -86400000 then
                    redis.call('HDEL', KEYS[1], all[i])
                  else
                    table.insert(open, all[i])
                    table.insert(open, left)
                  end
                end
                return open
                """
        return self.eval(script, [self.keys.circuits], [])
    }

    package func probe(_ circuit: CircuitName, life: Duration) -> RedisCommand {
        RedisCommand(
            "SET", self.keys.probe(Self.text(of: circuit)), self.instance, "NX", "PX",
            String(max(1, life.milliseconds)))
    }

    package static func text(of circuit: CircuitName) -> String { "\(circuit.provider) \(circuit.tenant.text)" }

    package static func circuit(_ text: String) -> CircuitName? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, Self.isSlug(words[0]), let tenant = TenantID(words[1]) else { return nil }
        return CircuitName(provider: String(words[0]), tenant: tenant)
    }

    /// What may stand between spaces: a short word.
    package static func isSlug(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    // MARK: Rates

    /// One unit out of `limit` for each `window`, spread evenly with `limit` at once (the generic cell rate algorithm,
    /// ITU-T I.371 Annex A). → `{1 or 0, units left, microseconds until there is one}`.
    package func spend(_ bucket: String, limit: Int, window: Duration) -> RedisCommand {
        let script = """
            local t = redis.call('TIME')
            local now = t[1] * 1000000 + t[2]
            local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
            local interval = window / limit
            local due = tonumber(redis.call('GET', KEYS[1]) or now)
            if due < now then due = now end
            local allowed = due + interval - window
            if allowed > now + 0.5 then
              return {0, 0, math.ceil(allowed - now)}
            end
            due = due + interval
            redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil((due - now) / 1000) + 1)
            return {1, math.floor((window - (due - now)) / interval + 0.001), 0}
            """
        return self.eval(
            script, [self.keys.rate(bucket)], [String(limit), String(window.nanoseconds / 1000)])
    }

    // MARK: Events

    /// At most about this many are kept: hours of a busy installation, some megabytes.
    package static let eventsKept = 10_000

    package func event(_ event: CallEvent, node: String) -> RedisCommand {
        var words = [
            "XADD", self.keys.events, "MAXLEN", "~", String(Self.eventsKept), "*", "kind", event.kind.rawValue, "call",
            event.call.text, "tenant", event.tenant.text, "assistant", event.assistant.text, "node", node,
        ]
        for (name, value) in event.details.sorted(by: { $0.key < $1.key }) { words += [name, value] }
        return RedisCommand(words)
    }

    /// Removes what the stream has of one tenant's calls. → how many entries.
    package func forget(_ calls: [CallID], of tenant: TenantID) -> RedisCommand {
        let script = """
            local calls = {}
            for i = 2, #ARGV do calls[ARGV[i]] = true end
            local removed = 0
            for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
              local fields = {}
              for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
              if fields.tenant == ARGV[1] and calls[fields.call] then
                removed = removed + redis.call('XDEL', KEYS[1], entry[1])
              end
            end
            return removed
            """
        return self.eval(script, [self.keys.events], [tenant.text] + calls.map(\.text))
    }
}

/// What a node says about itself.
package struct NodeState: Sendable, Equatable {
    package var name: String
    package var isDraining: Bool
    package var calls: Int
    /// Where its media port is: for people who look, not for routing.
    package var address: String
    package init(name: String, isDraining: Bool = false, calls: Int = 0, address: String = "") {
        self.name = name
        self.isDraining = isDraining
        self.calls = calls
        self.address = address
    }
}
