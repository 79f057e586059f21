/// The extensions of each mode (docs/freeswitch.md has the seconds that each fallback was seen to take).
///
/// Rules that all of them keep: a caller's own `X-…` headers never reach our leg (`sip_copy_custom_headers=false`); what
/// hands the call to Pronto is never the last line, so that a Pronto that is down, a script that is missing or a module
/// that is not loaded leads to `pronto_failover`; and `pronto_failover` first cancels the dead man's switch.
enum DialplanModes {
    static let failover = "pronto_failover"
    static let after = "pronto_after"
    static let afterSIP = "pronto_after_sip"

    /// The identities of the extensions that bring calls, by mode.
    private static let entries: [DialplanMode: [String]] = [
        .realtime: ["70726f6e-746f-4000-8000-000000000001"], .esl: ["70726f6e-746f-4000-8000-000000000002"],
        .dual: ["70726f6e-746f-4000-8000-000000000003"], .rtp: ["70726f6e-746f-4000-8000-000000000004"],
        .inbound: ["70726f6e-746f-4000-8000-000000000005", "70726f6e-746f-4000-8000-000000000006"],
    ]

    /// The identities of what may hand its calls to a shared extension.
    static func users(of shared: DialplanExtension) -> [String] {
        DialplanMode.allCases.filter { mode in
            switch shared.identity {
            case self.afterIdentity: mode == .esl || mode == .dual || mode == .inbound
            case self.afterSIPIdentity: mode == .rtp
            default: true
            }
        }.flatMap { self.entries[$0] ?? [] }
    }

    private static let afterIdentity = "70726f6e-746f-4000-8000-000000000007"
    private static let afterSIPIdentity = "70726f6e-746f-4000-8000-000000000008"
    /// Seconds of the first arming, before `socket`: Pronto has two at least to take it over.
    static let firstFuse = 3

    /// All extensions that a mode needs, in the order in which they have to stand.
    static func extensions(_ parameters: DialplanParameters) -> [DialplanExtension] {
        switch parameters.mode {
        case .realtime: [self.realtime(parameters), self.failover(parameters)]
        case .esl, .dual: [self.socket(parameters), self.after(parameters), self.failover(parameters)]
        case .rtp: [self.sip(parameters), self.afterSIP(parameters), self.failover(parameters)]
        case .inbound where parameters.inboundAudio == .esl:
            [
                self.ask(parameters), self.inbound(parameters), self.after(parameters), self.failover(parameters),
            ]
        case .inbound: [self.ask(parameters), self.inbound(parameters), self.failover(parameters)]
        }
    }

    // MARK: What brings a call to Pronto

    private static func realtime(_ parameters: DialplanParameters) -> DialplanExtension {
        var actions = self.prelude(parameters) + self.stream(parameters)
        actions.append(.set("pronto_ws_base", "ws://\(parameters.host):\(parameters.port)"))
        actions.append(.set("pronto_failover", parameters.name(self.failover)))
        actions.append(.set("pronto_failover_context", parameters.context))
        // Pronto arms and re-arms the dead man's switch itself: without an Event Socket it could not put it off.
        actions.append(
            .set("pronto_fuse", "\(parameters.fuse) \(parameters.name(self.failover)) XML \(parameters.context)"))
        actions.append(DialplanAction("lua", "voice_secretary.lua"))
        actions.append(.transfer(parameters.name(self.failover), parameters.context))
        return DialplanExtension(
            name: "voice_ai_realtime", identity: "70726f6e-746f-4000-8000-000000000001", number: parameters.numbers,
            order: 5, summary: "Pronto: audio by mod_audio_stream", conditions: [self.called(parameters, actions)])
    }

    private static func socket(_ parameters: DialplanParameters) -> DialplanExtension {
        let isDual = parameters.mode == .dual
        var actions = self.prelude(parameters)
        if isDual {
            actions += self.stream(parameters)
            actions.append(.set("pronto_ws_base", "ws://\(parameters.host):\(parameters.port)"))
        }
        let port = isDual ? parameters.socketPort : parameters.port
        actions += self.bySocket(parameters, mode: parameters.mode, port: port)
        return DialplanExtension(
            name: isDual ? "voice_ai_dual" : "voice_ai_esl",
            identity: "70726f6e-746f-4000-8000-00000000000\(isDual ? 3 : 2)", number: parameters.numbers, order: 5,
            summary: isDual
                ? "Pronto: audio by mod_audio_stream, control by the outbound Event Socket"
                : "Pronto: stock FreeSWITCH, audio by unicast under the outbound Event Socket",
            conditions: [self.called(parameters, actions)])
    }

    /// The lines that hand a channel to the outbound Event Socket.
    private static func bySocket(
        _ parameters: DialplanParameters, mode: DialplanMode, port: Int
    ) -> [DialplanAction] {
        let target = "\(parameters.name(self.failover)) XML \(parameters.context)"
        return [
            .set("VOICE_AI_AUDIO_MODE", mode.rawValue), .set("pronto_fuse", "\(parameters.fuse) \(target)"),
            DialplanAction("answer"),
            // FreeSWITCH has no timeout for a silent peer of `socket`; Pronto puts this off as long as it lives.
            DialplanAction("sched_transfer", "+\(self.firstFuse) \(target)"),
            DialplanAction("socket", "\(parameters.host):\(port) async full"),
            .transfer(parameters.name(self.after), parameters.context),
        ]
    }

    private static func sip(_ parameters: DialplanParameters) -> DialplanExtension {
        var actions = self.prelude(parameters)
        actions.append(.set("continue_on_fail", "true"))
        // True would hang the caller up after a MEDIA_TIMEOUT as well: the cause decides, behind the bridge.
        actions.append(.set("hangup_after_bridge", "false"))
        // Ids stand in the request's address: headers are what callers can write too.
        var ids = ";call=${uuid}"
        if parameters.tenant != nil { ids += ";tenant=${domain_uuid}" }
        if parameters.secretary != nil { ids += ";assistant=${secretary_uuid}" }
        // Pronto sends RTP all the time, silence included: 1.5 s without a packet is a dead Pronto. The codecs are stated
        // because a caller's own may be one that Pronto does not take; FreeSWITCH then converts.
        let variables = "{originate_timeout=2,media_timeout=1500,absolute_codec_string=^^:PCMU:PCMA}"
        let address = "$1@\(parameters.host):\(parameters.port)\(ids)"
        actions.append(DialplanAction("bridge", "\(variables)sofia/\(parameters.profile)/\(address)"))
        actions.append(.transfer(parameters.name(self.afterSIP), parameters.context))
        return DialplanExtension(
            name: "voice_ai_rtp", identity: "70726f6e-746f-4000-8000-000000000004", number: parameters.numbers,
            order: 5, summary: "Pronto: stock FreeSWITCH, a SIP leg with RTP",
            conditions: [self.called(parameters, actions)])
    }

    /// Asks before anything is matched: all its actions are inline, and the search goes on behind it.
    private static func ask(_ parameters: DialplanParameters) -> DialplanExtension {
        let numbers = DialplanParameters.expression(of: parameters.numbers) ?? "^$"
        var url = "http://\(parameters.host):\(parameters.adminPort)/api/freeswitch/ai-routing?call_id=${uuid}"
        url += "&caller=${url_encode(${caller_id_number})}&did=${url_encode(${destination_number})}"
        // An empty value is an absent one: a channel without domain_uuid is asked for by its trunk or number.
        url += "&tenant_id=\(parameters.tenant ?? "${domain_uuid}")"
        // A gateway's `<variable name="pronto_trunk" value="…" direction="inbound"/>` says which trunk it is.
        url += "&trunk_id=\(parameters.trunk ?? "${pronto_trunk}")"
        return DialplanExtension(
            name: "inbound_ai_ask", identity: "70726f6e-746f-4000-8000-000000000005", number: parameters.numbers,
            order: 3, summary: "Pronto: asks whether the AI answers", continues: true,
            conditions: [
                DialplanCondition(
                    field: "destination_number", expression: numbers,
                    actions: [
                        .set("call_direction", "inbound", inline: true),
                        .set("pronto_ai_enabled", "false", inline: true),
                        .set("pronto_failover_ext", parameters.failover, inline: true),
                        .set("pronto_failover_type", "ext", inline: true),
                        // One second, then the human: nobody waits for a routing service that is away. The application
                        // reads the time from variables; `timeout 1` as a word is heard by the API only (measured: a
                        // silent server then held calls for ever).
                        .set("curl_connect_timeout", "1", inline: true), .set("curl_timeout", "1", inline: true),
                        DialplanAction("curl", "\(url) get", inline: true),
                        DialplanAction("lua", "ai_routing.lua", inline: true),
                    ])
            ])
    }

    private static func inbound(_ parameters: DialplanParameters) -> DialplanExtension {
        let numbers = DialplanParameters.expression(of: parameters.numbers) ?? "^$"
        // pronto_failover_ext and _type are what the answer said; the prelude's values would undo it.
        var actions = self.prelude(parameters).filter { !$0.data.hasPrefix("pronto_failover_") }
        let target = "\(parameters.name(self.failover)) XML \(parameters.context)"
        switch parameters.inboundAudio {
        case .stream:
            actions += self.stream(parameters)
            actions.append(.set("pronto_fuse", "\(parameters.fuse) \(target)"))
            actions.append(
                DialplanAction(
                    "lua",
                    "ai_websocket_bridge.lua ${pronto_ws_url} \(parameters.name(self.failover)) \(parameters.context)"))
            actions.append(.transfer(parameters.name(self.failover), parameters.context))
        case .esl:
            // pronto_route, which ai_routing.lua has set, goes along as a variable of the channel.
            actions += self.bySocket(parameters, mode: .esl, port: parameters.socketPort)
        }
        actions.append(.transfer(parameters.name(self.failover), parameters.context, anti: true))
        return DialplanExtension(
            name: "inbound_ai_dynamic", identity: "70726f6e-746f-4000-8000-000000000006", number: parameters.numbers,
            order: 4, summary: "Pronto: the AI, else the extension, else voicemail",
            conditions: [
                DialplanCondition(field: "destination_number", expression: numbers),
                DialplanCondition(field: "${pronto_ai_enabled}", expression: "^true$", actions: actions),
            ])
    }

    // MARK: What comes behind Pronto

    /// Behind `socket`: Pronto said that the call is done, or it is away.
    private static func after(_ parameters: DialplanParameters) -> DialplanExtension {
        DialplanExtension(
            name: parameters.name(self.after), identity: self.afterIdentity, number: parameters.name(self.after),
            order: 6, summary: "Pronto: what comes after the outbound Event Socket", isShared: true,
            conditions: [
                DialplanCondition(field: "destination_number", expression: "^\(parameters.name(self.after))$"),
                DialplanCondition(
                    field: "${ai_done}", expression: "^true$",
                    actions: [
                        DialplanAction("hangup", "NORMAL_CLEARING"),
                        .transfer(parameters.name(self.failover), parameters.context, anti: true),
                    ]),
            ])
    }

    /// Behind `bridge`: Pronto hung up on purpose, or did not answer, or its RTP ended.
    private static func afterSIP(_ parameters: DialplanParameters) -> DialplanExtension {
        DialplanExtension(
            name: parameters.name(self.afterSIP), identity: self.afterSIPIdentity,
            number: parameters.name(self.afterSIP), order: 6, summary: "Pronto: what comes after the SIP leg",
            isShared: true,
            conditions: [
                DialplanCondition(field: "destination_number", expression: "^\(parameters.name(self.afterSIP))$"),
                DialplanCondition(
                    field: "${last_bridge_hangup_cause}", expression: "^NORMAL_CLEARING$",
                    actions: [
                        DialplanAction("hangup", "NORMAL_CLEARING"),
                        .transfer(parameters.name(self.failover), parameters.context, anti: true),
                    ]),
            ])
    }

    /// The human. `pronto_failover_ext` says who and `pronto_failover_type` what that is (document 2 §3: ext, ring, queue,
    /// vm; unset is ext); its first action takes the dead man's switch away.
    ///
    /// Only an extension may be rung as `user/…`: ring groups and queues are what the dialplan makes of their number. A
    /// mailbox that is written as a feature code (FusionPBX's `*99…`) is the dialplan's too.
    private static func failover(_ parameters: DialplanParameters) -> DialplanExtension {
        let name = parameters.name(self.failover)
        let elsewhere = DialplanAction.transfer("${pronto_failover_ext}", parameters.dialledFailoverContext)
        let voicemail = DialplanAction("voicemail", "default \(parameters.domainName) ${pronto_failover_ext}")
        let target = "${pronto_failover_type}/${pronto_failover_ext}"
        var conditions = [
            DialplanCondition(
                field: "destination_number", expression: "^\(name)$", actions: [DialplanAction("sched_cancel")]),
            DialplanCondition(
                field: target, expression: "^vm/[^*]", breaks: .onTrue,
                actions: [DialplanAction("answer"), DialplanAction("sleep", "1000"), voicemail]),
        ]
        if parameters.failoverRingsUser {
            conditions.append(
                DialplanCondition(
                    field: target, expression: "^(ring|queue|vm)/", breaks: .onTrue, actions: [elsewhere]))
        }
        // Always true: what is left over.
        conditions.append(
            DialplanCondition(
                field: "destination_number", expression: "^\(name)$",
                actions: parameters.failoverRingsUser
                    ? [
                        .set("continue_on_fail", "true"), .set("hangup_after_bridge", "true"),
                        .set("call_timeout", "30"),
                        DialplanAction("bridge", "user/${pronto_failover_ext}@\(parameters.domainName)"),
                        DialplanAction("answer"), DialplanAction("sleep", "1000"), voicemail,
                    ] : [elsewhere]))
        return DialplanExtension(
            name: name, identity: "70726f6e-746f-4000-8000-000000000009", number: name, order: 6,
            summary: "Pronto: the human who answers when it does not", isShared: true, conditions: conditions)
    }

    // MARK: Shared lines

    private static func called(
        _ parameters: DialplanParameters, _ actions: [DialplanAction]
    ) -> DialplanCondition {
        DialplanCondition(
            field: "destination_number", expression: DialplanParameters.expression(of: parameters.numbers) ?? "^$",
            actions: actions)
    }

    private static func prelude(_ parameters: DialplanParameters) -> [DialplanAction] {
        var actions: [DialplanAction] = [
            .set("sip_copy_custom_headers", "false"), .set("pronto_failover_ext", parameters.failover),
            // What an answer of routing left on a channel that was here before belongs to the extension before.
            .set("pronto_failover_type", "ext"),
        ]
        if let tenant = parameters.tenant { actions.append(.set("domain_uuid", tenant)) }
        if let secretary = parameters.secretary { actions.append(.set("secretary_uuid", secretary)) }
        return actions
    }

    private static func stream(_ parameters: DialplanParameters) -> [DialplanAction] {
        var actions: [DialplanAction] = []
        if parameters.module == .fork {
            // It writes µ-law whatever the channel's codec, and buffers 400 ms unless told otherwise (measured).
            actions.append(.set("absolute_codec_string", "PCMU"))
            actions.append(.set("STREAM_PLAYBACK", "true"))
            actions.append(.set("STREAM_SAMPLE_RATE", "8000"))
        }
        // In some builds both are uninitialised when unset (source).
        actions.append(.set("STREAM_HEART_BEAT", "15"))
        actions.append(.set("STREAM_BUFFER_SIZE", "20"))
        actions.append(.set("pronto_ws_dialect", parameters.module.dialect))
        actions.append(.set("pronto_ws_rate", parameters.streamRate))
        return actions
    }
}

/// A file of a plain FreeSWITCH: the extensions of one mode in an `<include>`.
enum DialplanFile {
    static func text(_ parameters: DialplanParameters) -> String {
        let extensions = DialplanModes.extensions(parameters).map { $0.xml(indentation: "  ") }
        return """
            <!-- Written by `pronto dialplan print \(parameters.mode.rawValue)`. Belongs into a folder that the context \
            includes,
                 such as conf/dialplan/\(parameters.mode == .inbound ? "public" : "default"); scripts, options and \
            measured fallback: docs/freeswitch.md. -->
            <include>
            \(extensions.joined(separator: "\n\n"))
            </include>

            """
    }
}
