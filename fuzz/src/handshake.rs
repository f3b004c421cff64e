//! The handshake: option haggling, without TLS and up to where it begins.
//!
//! An input is one byte for the server's way with TLS, then what a client sends. The state machine
//! is asked alone; where there is no TLS, the same bytes then go to a real connection, which must
//! answer just as that did.

use ebb_nbd::Context;
use ebb_nbd::fuzzing::converse;
use ebb_nbd::negotiation::{Negotiation, Session, Step, TlsMode, greeting};
use ebb_nbd::wire::{
    BASE_ALLOCATION, Choice, Framing, MetaQuery, OPTION_BYTES, OPTION_REPLY_BYTES, OptionHeader,
    OptionKind, OptionReply, decode_meta_context, rep,
};

use crate::{EXPORT, SNAPSHOT_ID, changed, exports, limits, take, take_array};

const MODES: [TlsMode; 3] = [TlsMode::Absent, TlsMode::Offered, TlsMode::Required];

/// Every option gets replies of its own, the last of which is its only final one; nothing but TLS
/// or the end gets past a server that insists on TLS; what a client enters is what it agreed on.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Some((mode, sent)) = input.split_first() else { return };
    let mode = MODES[usize::from(*mode) % MODES.len()];
    let mut haggling =
        Haggling { secured: false, framing: Framing::Simple, contexts: vec![], out: vec![] };
    let entered = haggling.run(sent, mode);
    if mode != TlsMode::Absent {
        return;
    }
    let expected = [&greeting()[..], &haggling.out].concat();
    let answers = converse(sent, &exports(8192), &limits()).expect("a socket and a thread");
    match entered {
        Entered::Yes => assert!(answers.starts_with(&expected)),
        Entered::No => assert_eq!(answers, expected),
    }
}

enum Entered {
    Yes,
    No,
}

/// What a client has learned so far.
struct Haggling {
    secured: bool,
    framing: Framing,
    /// The metadata contexts that are chosen, in the order of their ids.
    contexts: Vec<Context>,
    out: Vec<u8>,
}

impl Haggling {
    fn run(&mut self, mut sent: &[u8], mode: TlsMode) -> Entered {
        let exports = exports(8192);
        let Some(flags) = take_array(&mut sent).map(u32::from_be_bytes) else { return Entered::No };
        let Some(mut negotiation) = Negotiation::new(flags, mode) else {
            assert!(flags > 3, "flags {flags} were offered");
            return Entered::No;
        };
        loop {
            let Some(header) = take_array::<OPTION_BYTES>(&mut sent) else { return Entered::No };
            let Ok(header) = OptionHeader::decode(&header) else { return Entered::No };
            let Some(data) = take(&mut sent, header.length as usize) else { return Entered::No };
            let before = self.out.len();
            let step = if header.length > limits().option_bytes {
                negotiation.too_long(header.kind, &mut self.out)
            } else {
                negotiation.option(header.kind, data, &exports, &mut self.out)
            };
            let replies = self.out[before..].to_vec();
            assert!(replies.len() <= 256 + data.len(), "{} bytes", replies.len());
            let insists = mode == TlsMode::Required && !self.secured;
            match step {
                Step::More => self.check_replies(header.kind, &replies, insists),
                Step::Secure => {
                    assert!(header.kind == OptionKind::StartTls && mode != TlsMode::Absent);
                    assert!(!self.secured, "TLS over TLS");
                    self.check_replies(header.kind, &replies, false);
                    (self.secured, self.framing) = (true, Framing::Simple);
                    self.contexts.clear();
                }
                Step::Enter(session) => {
                    assert!(!insists, "entered without TLS");
                    self.check_session(header.kind, &session, &replies);
                    return Entered::Yes;
                }
                Step::End => {
                    let unanswerable = header.kind == OptionKind::ExportName || flags & 1 == 0;
                    assert!(unanswerable || header.kind == OptionKind::Abort);
                    assert_eq!(replies.is_empty(), unanswerable);
                    return Entered::No;
                }
            }
        }
    }

    /// Reads the replies to one option.
    fn check_replies(&mut self, option: OptionKind, mut replies: &[u8], insists: bool) {
        let mut told = Vec::new();
        let last = loop {
            let header = take_array::<OPTION_REPLY_BYTES>(&mut replies).expect("a whole reply");
            let reply = OptionReply::decode(&header).expect("a reply");
            assert_eq!(reply.option, option);
            let data = take(&mut replies, reply.length as usize).expect("the reply's data");
            match reply.kind {
                rep::SERVER => assert!(option == OptionKind::List && !insists),
                rep::INFO => {
                    let asked = matches!(option, OptionKind::Info | OptionKind::Go);
                    assert!(asked && !insists, "{option:?}");
                }
                rep::META_CONTEXT => {
                    let (id, name) = decode_meta_context(data).expect("a context");
                    told.push(context(name));
                    match option {
                        OptionKind::ListMetaContext => assert_eq!(id, 0),
                        OptionKind::SetMetaContext => assert_eq!(id as usize, told.len()),
                        _ => panic!("a context for {option:?}"),
                    }
                    assert!(!insists, "{option:?}");
                }
                last => break last,
            }
        };
        if option == OptionKind::SetMetaContext && !insists {
            self.contexts = if last == rep::ACK { told } else { vec![] };
        }
        assert!(replies.is_empty(), "replies behind the final one");
        assert!(last == rep::ACK || last & rep::ERROR_BIT != 0, "{last:#x}");
        if last == rep::ACK {
            assert!(!insists || option == OptionKind::StartTls, "{option:?} before TLS");
            assert!(!matches!(option, OptionKind::Unknown(_)));
            self.agree(option);
        }
    }

    fn agree(&mut self, option: OptionKind) {
        match option {
            OptionKind::StructuredReply => {
                assert_ne!(self.framing, Framing::Extended);
                self.framing = Framing::Structured;
            }
            OptionKind::ExtendedHeaders => self.framing = Framing::Extended,
            OptionKind::ListMetaContext | OptionKind::SetMetaContext => {
                assert_ne!(self.framing, Framing::Simple);
            }
            _ => {}
        }
    }

    fn check_session(&mut self, option: OptionKind, session: &Session, replies: &[u8]) {
        assert_eq!(session.export.name(), EXPORT);
        assert_eq!((session.framing, &session.contexts), (self.framing, &self.contexts));
        match option {
            OptionKind::Go => self.check_replies(option, replies, false),
            // Its answer has no header: size, flags, and the zeroes of old.
            OptionKind::ExportName => {
                assert_ne!(self.framing, Framing::Extended);
                assert!(matches!(replies.len(), 10 | 134));
                assert_eq!(replies[..8], session.export.size_bytes().to_be_bytes());
            }
            other => panic!("entered by {other:?}"),
        }
    }
}

/// What a name stands for: of every export, or of this one's snapshot.
fn context(name: &str) -> Context {
    match name {
        BASE_ALLOCATION => Context::Allocation,
        name if name == changed() => Context::Changed(SNAPSHOT_ID),
        name => panic!("nobody has a context {name:?}"),
    }
}

/// Sessions in each way with TLS and each framing, and what they may end with.
pub fn seeds() -> Vec<Vec<u8>> {
    let choice = Choice { name: EXPORT.into(), wants: vec![1, 3] }.encode();
    let queries = vec![changed(), BASE_ALLOCATION.into(), "ebbtide:".into()];
    let query = MetaQuery { name: EXPORT.into(), queries };
    let asked = |kind, data: &[u8]| {
        let header = OptionHeader { kind, length: data.len() as u32 }.encode();
        [&header[..], data].concat()
    };
    let framings =
        [OptionKind::Unknown(4), OptionKind::StructuredReply, OptionKind::ExtendedHeaders];
    let mut seeds = Vec::new();
    for mode in 0..MODES.len() as u8 {
        for framing in framings {
            let session = [
                vec![mode, 0, 0, 0, 3],
                asked(OptionKind::StartTls, &[]),
                asked(framing, &[]),
                asked(OptionKind::List, &[]),
                asked(OptionKind::ListMetaContext, &query.encode()),
                asked(OptionKind::SetMetaContext, &query.encode()),
                asked(OptionKind::Info, &choice),
                asked(OptionKind::Go, &choice),
            ];
            seeds.push(session.concat());
        }
        for flags in [1, 3] {
            let greeted = vec![mode, 0, 0, 0, flags];
            seeds.push([&greeted[..], &asked(OptionKind::ExportName, EXPORT.as_bytes())].concat());
            seeds.push([&greeted[..], &asked(OptionKind::Abort, &[])].concat());
            let long = asked(OptionKind::Info, &[0; 600]);
            seeds.push([&greeted[..], &long, &asked(OptionKind::Abort, &[])].concat());
        }
    }
    seeds
}
