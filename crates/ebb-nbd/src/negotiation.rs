//! Fixed newstyle negotiation as a state machine: bytes of options in, bytes of replies out.
//!
//! ```text
//!   greeting ─► client flags ─► option ─► More ─► option ─► … ─► Enter(session) | End
//! ```
//!
//! An option that is unknown or malformed is answered with an error and the session goes on, as
//! the protocol asks; only what has no possible answer ends it.

use std::sync::Arc;

use bytes::BufMut;

use crate::contexts::{self, Context};
use crate::exports::{Export, Exports};
use crate::registry::NoEntry;
use crate::wire::{
    BlockSizes, Choice, FIXED_NEWSTYLE, Framing, MAGIC, MetaQuery, NO_ZEROES, OPTION_MAGIC,
    OptionKind, OptionReply, encode_export_info, encode_meta_context, encode_server, info, rep,
    transmission_flags as flags,
};

/// What the server sends first: the magic numbers and its flags.
#[must_use]
pub fn greeting() -> [u8; 18] {
    let mut out = [0; 18];
    let mut to = &mut out[..];
    to.put_u64(MAGIC);
    to.put_u64(OPTION_MAGIC);
    to.put_u16(FIXED_NEWSTYLE | NO_ZEROES);
    out
}

/// What has been agreed on so far.
#[derive(Debug)]
pub struct Negotiation {
    fixed: bool,
    no_zeroes: bool,
    framing: Framing,
    tls: TlsMode,
    /// Whose the client is, where a certificate says so: it sees nothing of others.
    owner: Option<String>,
    /// The export for which metadata contexts are chosen, and those.
    chosen: Option<(String, Vec<Context>)>,
}

/// What TLS is to a connection, when it begins and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// The server has none.
    Absent,
    /// The client may begin it.
    Offered,
    /// The client must begin it before anything else.
    Required,
    /// It has begun.
    Active,
}

/// What comes after an option.
#[derive(Debug)]
pub enum Step {
    /// Another option.
    More,
    /// TLS, once the replies are sent, and then another option.
    Secure,
    /// Requests, once the replies are sent.
    Enter(Session),
    /// Nothing, once the replies are sent.
    End,
}

/// The outcome of a negotiation.
#[derive(Debug)]
pub struct Session {
    /// The export that the client uses.
    pub export: Arc<Export>,
    /// How requests and replies are framed.
    pub framing: Framing,
    /// The metadata contexts that the client chose for this export. The first has the id 1.
    pub contexts: Vec<Context>,
}

impl Negotiation {
    /// Begins with the client's flags. `None` where it sets one that this server did not offer:
    /// the session must end.
    #[must_use]
    pub fn new(client_flags: u32, tls: TlsMode) -> Option<Self> {
        let offered = u32::from(FIXED_NEWSTYLE | NO_ZEROES);
        (client_flags & !offered == 0).then_some(Self {
            fixed: client_flags & u32::from(FIXED_NEWSTYLE) != 0,
            no_zeroes: client_flags & u32::from(NO_ZEROES) != 0,
            framing: Framing::Simple,
            tls,
            owner: None,
            chosen: None,
        })
    }

    /// From now on only the exports of this owner are there.
    pub(crate) fn show_owner(&mut self, owner: String) {
        self.owner = Some(owner);
    }

    /// The export of this name, if it is there for this client.
    fn find(&self, name: &str, exports: &Exports) -> Option<Arc<Export>> {
        exports.find(name).filter(|export| export.admits(self.owner.as_deref()))
    }

    /// Answers one option into `out`.
    pub fn option(
        &mut self,
        kind: OptionKind,
        data: &[u8],
        exports: &Exports,
        out: &mut Vec<u8>,
    ) -> Step {
        if let Some(step) = self.insist_on_tls(kind, out) {
            return step;
        }
        if kind == OptionKind::ExportName {
            return self.export_name(data, exports, out);
        }
        if !self.fixed {
            // Such a client knows no replies to options.
            return Step::End;
        }
        match kind {
            OptionKind::Abort => {
                reply(out, kind, rep::ACK, &[]);
                return Step::End;
            }
            OptionKind::Go | OptionKind::Info => return self.choose(kind, data, exports, out),
            OptionKind::List => self.list(data, exports, out),
            OptionKind::StructuredReply | OptionKind::ExtendedHeaders => {
                self.frame(kind, data, out);
            }
            OptionKind::ListMetaContext | OptionKind::SetMetaContext => {
                self.meta_context(kind, data, exports, out);
            }
            OptionKind::StartTls => return self.start_tls(data, out),
            OptionKind::Unknown(_) | OptionKind::ExportName => {
                reply(out, kind, rep::ERR_UNSUP, b"this server does not know the option");
            }
        }
        Step::More
    }

    /// What any option but two gets before TLS where TLS is required.
    fn insist_on_tls(&self, kind: OptionKind, out: &mut Vec<u8>) -> Option<Step> {
        let exempt = matches!(kind, OptionKind::StartTls | OptionKind::Abort);
        if self.tls != TlsMode::Required || exempt {
            return None;
        }
        if kind == OptionKind::ExportName || !self.fixed {
            return Some(Step::End);
        }
        reply(out, kind, rep::ERR_TLS_REQD, b"this server asks for TLS first");
        Some(Step::More)
    }

    fn start_tls(&mut self, data: &[u8], out: &mut Vec<u8>) -> Step {
        let kind = OptionKind::StartTls;
        let refusal: (u32, &[u8]) = match self.tls {
            TlsMode::Absent => (rep::ERR_UNSUP, b"this server has no TLS"),
            TlsMode::Active => (rep::ERR_INVALID, b"TLS has begun already"),
            _ if !data.is_empty() => (rep::ERR_INVALID, b"this option has no data"),
            TlsMode::Offered | TlsMode::Required => {
                reply(out, kind, rep::ACK, &[]);
                // Nothing agreed on before, where anybody could have spoken, holds after it.
                self.framing = Framing::Simple;
                self.chosen = None;
                self.tls = TlsMode::Active;
                return Step::Secure;
            }
        };
        reply(out, kind, refusal.0, refusal.1);
        Step::More
    }

    fn frame(&mut self, kind: OptionKind, data: &[u8], out: &mut Vec<u8>) {
        if !data.is_empty() {
            return reply(out, kind, rep::ERR_INVALID, b"this option has no data");
        }
        let extended = kind == OptionKind::ExtendedHeaders;
        if self.framing == Framing::Extended {
            let error = if extended { rep::ERR_INVALID } else { rep::ERR_EXT_HEADER_REQD };
            return reply(out, kind, error, b"extended headers are in use already");
        }
        self.framing = if extended { Framing::Extended } else { Framing::Structured };
        reply(out, kind, rep::ACK, &[]);
    }

    /// Answers an option whose data was too long to be read.
    pub fn too_long(&mut self, kind: OptionKind, out: &mut Vec<u8>) -> Step {
        if let Some(step) = self.insist_on_tls(kind, out) {
            return step;
        }
        if kind == OptionKind::SetMetaContext {
            self.chosen = None;
        }
        if kind == OptionKind::ExportName || !self.fixed {
            return Step::End;
        }
        reply(out, kind, rep::ERR_TOO_BIG, b"the option's data is too long");
        Step::More
    }

    /// Answers the option that would have entered an export, which takes no more connections.
    pub(crate) fn refused(&self, kind: OptionKind, why: NoEntry, out: &mut Vec<u8>) -> Step {
        if kind == OptionKind::ExportName {
            return Step::End;
        }
        match why {
            NoEntry::Full => {
                let message = b"the export has as many connections as it may have";
                reply(out, kind, rep::ERR_POLICY, message);
            }
            NoEntry::Closed => {
                reply(out, kind, rep::ERR_UNKNOWN, b"there is no export of this name");
            }
        }
        Step::More
    }

    fn export_name(&self, data: &[u8], exports: &Exports, out: &mut Vec<u8>) -> Step {
        if self.framing == Framing::Extended {
            // proto.md forbids it, and its answer has no room for a refusal.
            return Step::End;
        }
        let export = std::str::from_utf8(data).ok().and_then(|name| self.find(name, exports));
        let Some(export) = export else { return Step::End };
        out.put_u64(export.size_bytes());
        out.put_u16(self.transmission_flags());
        if !self.no_zeroes {
            out.put_bytes(0, 124);
        }
        Step::Enter(self.session(export))
    }

    fn session(&self, export: Arc<Export>) -> Session {
        let contexts = match &self.chosen {
            Some((name, contexts)) if name == export.name() => contexts.clone(),
            _ => Vec::new(),
        };
        Session { export, framing: self.framing, contexts }
    }

    fn choose(&self, kind: OptionKind, data: &[u8], exports: &Exports, out: &mut Vec<u8>) -> Step {
        let choice = match Choice::decode(data) {
            Ok(choice) => choice,
            Err(error) => {
                reply(out, kind, rep::ERR_INVALID, error.to_string().as_bytes());
                return Step::More;
            }
        };
        let Some(export) = self.find(&choice.name, exports) else {
            reply(out, kind, rep::ERR_UNKNOWN, b"there is no export of this name");
            return Step::More;
        };
        let facts = encode_export_info(export.size_bytes(), self.transmission_flags());
        reply(out, kind, rep::INFO, &facts);
        if choice.wants.contains(&info::NAME) {
            reply(
                out,
                kind,
                rep::INFO,
                &[&info::NAME.to_be_bytes(), choice.name.as_bytes()].concat(),
            );
        }
        if choice.wants.contains(&info::BLOCK_SIZE) {
            reply(out, kind, rep::INFO, &BlockSizes::SERVED.encode());
        }
        reply(out, kind, rep::ACK, &[]);
        if kind == OptionKind::Go { Step::Enter(self.session(export)) } else { Step::More }
    }

    /// Lists metadata contexts, or chooses them. What is not there is ignored, as proto.md asks: a
    /// client queries those of every server that it knows.
    fn meta_context(
        &mut self,
        kind: OptionKind,
        data: &[u8],
        exports: &Exports,
        out: &mut Vec<u8>,
    ) {
        let set = kind == OptionKind::SetMetaContext;
        if set {
            // What was chosen before counts no more, even where this fails.
            self.chosen = None;
        }
        if self.framing == Framing::Simple {
            return reply(out, kind, rep::ERR_INVALID, b"structured replies come first");
        }
        let MetaQuery { name, queries } = match MetaQuery::decode(data) {
            Ok(query) => query,
            Err(error) => {
                return reply(out, kind, rep::ERR_INVALID, error.to_string().as_bytes());
            }
        };
        let Some(export) = self.find(&name, exports) else {
            return reply(out, kind, rep::ERR_UNKNOWN, b"there is no export of this name");
        };
        if queries.iter().any(|query| !query.contains(':')) {
            return reply(
                out,
                kind,
                rep::ERR_INVALID,
                b"a query begins with a namespace and a colon",
            );
        }
        if set {
            match self.choose_contexts(&export, name, &queries) {
                Ok(chosen) => {
                    for (id, name) in (1..).zip(chosen) {
                        reply(out, kind, rep::META_CONTEXT, &encode_meta_context(id, name));
                    }
                }
                Err(why) => return reply(out, kind, rep::ERR_TOO_BIG, why.as_bytes()),
            }
        } else {
            for name in contexts::list(&export, &queries) {
                reply(out, kind, rep::META_CONTEXT, &encode_meta_context(0, &name));
            }
        }
        reply(out, kind, rep::ACK, &[]);
    }

    /// Chooses those that are there. Says which.
    fn choose_contexts<'q>(
        &mut self,
        export: &Export,
        name: String,
        queries: &'q [String],
    ) -> Result<Vec<&'q str>, &'static str> {
        let (mut names, mut chosen): (Vec<&str>, Vec<Context>) = (Vec::new(), Vec::new());
        for query in queries {
            if names.contains(&&**query) {
                continue;
            }
            let Some(context) = contexts::find(export, query) else { continue };
            if chosen.len() == contexts::MOST {
                return Err("at most 8 metadata contexts can be chosen");
            }
            names.push(query);
            chosen.push(context);
        }
        self.chosen = (!chosen.is_empty()).then_some((name, chosen));
        Ok(names)
    }

    fn list(&self, data: &[u8], exports: &Exports, out: &mut Vec<u8>) {
        if !data.is_empty() {
            return reply(out, OptionKind::List, rep::ERR_INVALID, b"this option has no data");
        }
        for name in exports.names() {
            if self.owner.is_none() || self.find(&name, exports).is_some() {
                reply(out, OptionKind::List, rep::SERVER, &encode_server(&name));
            }
        }
        reply(out, OptionKind::List, rep::ACK, &[]);
    }

    fn transmission_flags(&self) -> u16 {
        let df = if self.framing == Framing::Simple { 0 } else { flags::SEND_DF };
        df | flags::HAS_FLAGS
            | flags::SEND_FLUSH
            | flags::SEND_FUA
            | flags::SEND_TRIM
            | flags::SEND_WRITE_ZEROES
            | flags::SEND_CACHE
            | flags::SEND_FAST_ZERO
            | flags::CAN_MULTI_CONN
    }
}

fn reply(out: &mut Vec<u8>, option: OptionKind, kind: u32, data: &[u8]) {
    let length = u32::try_from(data.len()).expect("replies are a name or a short sentence");
    out.put_slice(&OptionReply { option, kind, length }.encode());
    out.put_slice(data);
}
