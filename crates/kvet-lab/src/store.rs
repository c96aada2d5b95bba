//! Campaigns and their boots in an SQLite file.
//!
//! A boot is committed, and on the disk (`synchronous=FULL`), before the next one starts: a kill, a full disk or a
//! reboot loses no boot that had ended. Several campaigns may write one store at once (write-ahead log; a writer
//! waits for another one).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::capture::{Console, Stamp};
use crate::cluster::Cluster;
use crate::host::Host;
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::plan::{Plan, Tally};
use crate::stats::Rate;

/// Why the store does not do what it shall.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory or file cannot be made or opened.
    #[error("{}: the store cannot be opened: {why}; name another with --store", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Written by a newer kvet.
    #[error("{}: the store has format {found}, this kvet knows {FORMAT}; use a newer kvet or another --store", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// No room.
    #[error("{}: the disk is full; the boots stored so far are safe, go on with --resume once there is room", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// SQLite.
    #[error("{}: {why}", .path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        why: rusqlite::Error,
    },
    /// Another process runs this campaign.
    #[error("{}: campaign {campaign} is being run by another kvet; wait for it, or stop it first", .path.display())]
    Running {
        /// The file.
        path: PathBuf,
        /// The campaign.
        campaign: i64,
    },
    /// No such campaign or boot.
    #[error("{}: holds no {what}", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `campaign 7`, `boot 7.3`.
        what: String,
    },
    /// A record that cannot be read.
    #[error("{}: {what} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which record.
        what: String,
        /// Why.
        why: String,
    },
}

/// The format that this kvet writes.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY,
    created REAL NOT NULL,
    record TEXT NOT NULL,
    answer TEXT
);
CREATE TABLE boot (
    campaign INTEGER NOT NULL REFERENCES campaign,
    number INTEGER NOT NULL,
    variant INTEGER NOT NULL,
    seed INTEGER,
    outcome TEXT NOT NULL,
    signature TEXT,
    record TEXT NOT NULL,
    console BLOB NOT NULL,
    stamps BLOB NOT NULL,
    PRIMARY KEY (campaign, number)
);
CREATE INDEX boot_by_signature ON boot (campaign, outcome, signature);
";

/// What is known of a campaign before its first boot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CampaignRecord {
    /// What shall be done.
    pub plan: Plan,
    /// The kernel.
    pub kernel: Kernel,
    /// The host.
    pub host: Host,
    /// kvet's version.
    pub kvet: String,
}

/// A campaign in the store.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// When it was made, in seconds since 1970.
    pub created: f64,
    /// What was known then.
    pub record: CampaignRecord,
    /// Why it ended, as JSON of [`crate::plan::Answer`]; `None` while it runs or after it was killed.
    pub answer: Option<String>,
    /// Its boots so far.
    pub tally: Tally,
}

/// A boot in the store, without its console.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StoredBoot {
    /// Its number in the campaign, from 0.
    pub number: u64,
    /// Index of its machine.
    pub variant: usize,
    /// Seed of a deterministic run.
    pub seed: Option<u64>,
    /// What is known of it.
    pub boot: Boot,
}

/// The right to run a campaign, until it goes or its process ends, whatever ends it.
#[must_use]
#[derive(Debug)]
pub struct Claim {
    /// A name that only one socket has, and that leaves nothing behind.
    _name: UnixListener,
}

/// An open store.
pub struct Store {
    path: PathBuf,
    db: Connection,
}

impl Store {
    /// Opens a store, or makes one and the directory that it is in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let fails = |why: String| StoreError::Open { path: path.to_owned(), why };
        if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(|e| fails(e.to_string()))?;
        }
        // The system says why not ("Permission denied"); SQLite only that it is unable.
        let there =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        there.map_err(|e| fails(e.to_string()))?;
        let db = Connection::open(path).map_err(|e| fails(e.to_string()))?;
        let store = Store { path: path.to_owned(), db };
        store.prepare().map_err(|e| match e {
            StoreError::Sql { why, .. } => fails(why.to_string()),
            other => other,
        })?;
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(&self) -> Result<(), StoreError> {
        self.sql(self.db.busy_timeout(Duration::from_secs(60)))?;
        self.sql(self.db.pragma_update(None, "journal_mode", "WAL"))?;
        self.sql(self.db.pragma_update(None, "synchronous", "FULL"))?;
        self.sql(self.db.pragma_update(None, "foreign_keys", true))?;
        // Two that open a new store at once: the second waits, and finds it made.
        self.sql(self.db.execute_batch("BEGIN IMMEDIATE"))?;
        let format: i64 = self.sql(self.db.query_row("PRAGMA user_version", [], |r| r.get(0)))?;
        let made = match format {
            0 => self.db.execute_batch(&format!("{SCHEMA} PRAGMA user_version = {FORMAT};")),
            _ => Ok(()),
        };
        let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.sql(self.db.execute_batch(end))?;
        self.sql(made)?;
        if format > FORMAT {
            return Err(StoreError::Newer { path: self.path.clone(), found: format });
        }
        Ok(())
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|why| match why.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { path: self.path.clone() },
            _ => StoreError::Sql { path: self.path.clone(), why },
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        text: &str,
        what: impl Fn() -> String,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| StoreError::Damaged {
            path: self.path.clone(),
            what: what(),
            why: e.to_string(),
        })
    }

    /// Puts a new campaign in and gives its number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn add_campaign(&self, record: &CampaignRecord) -> Result<i64, StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let added = self
            .db
            .execute("INSERT INTO campaign (created, record) VALUES (?1, ?2)", params![now, to_json(record)]);
        self.sql(added)?;
        Ok(self.db.last_insert_rowid())
    }

    /// Claims a campaign, so that nobody else on this host boots the same numbers at the same time.
    ///
    /// # Errors
    /// Another process runs it.
    pub fn claim(&self, campaign: i64) -> Result<Claim, StoreError> {
        let fails = |e: std::io::Error| StoreError::Open { path: self.path.clone(), why: e.to_string() };
        let file = std::fs::metadata(&self.path).map_err(fails)?;
        let name = format!("kvet-campaign-{}-{}-{campaign}", file.dev(), file.ino());
        let address = SocketAddr::from_abstract_name(name).map_err(fails)?;
        match UnixListener::bind_addr(&address) {
            Ok(name) => Ok(Claim { _name: name }),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                Err(StoreError::Running { path: self.path.clone(), campaign })
            }
            Err(e) => Err(fails(e)),
        }
    }

    /// Notes why a campaign ended; `None` when it goes on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_answer(&self, campaign: i64, answer: Option<&str>) -> Result<(), StoreError> {
        self.sql(
            self.db.execute("UPDATE campaign SET answer = ?2 WHERE id = ?1", params![campaign, answer]),
        )?;
        Ok(())
    }

    /// Changes a campaign's plan: when it is resumed with more boots, for example.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_record(&self, campaign: i64, record: &CampaignRecord) -> Result<(), StoreError> {
        let text = to_json(record);
        self.sql(self.db.execute("UPDATE campaign SET record = ?2 WHERE id = ?1", params![campaign, text]))?;
        Ok(())
    }

    /// Puts a boot that has ended in; it is on the disk when this returns.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn add_boot(&self, campaign: i64, boot: &StoredBoot, console: &Console) -> Result<(), StoreError> {
        let mut insert = self.sql(self.db.prepare_cached(
            "INSERT INTO boot (campaign, number, variant, seed, outcome, signature, record, console, stamps)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        ))?;
        let added = insert.execute(params![
            campaign,
            boot.number as i64,
            boot.variant as i64,
            boot.seed.map(|s| s as i64),
            boot.boot.outcome.as_str(),
            boot.boot.signature,
            to_json(&boot.boot),
            compress(&console.bytes),
            compress(&pack(console)),
        ]);
        self.sql(added)?;
        Ok(())
    }

    /// All campaigns, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn campaigns(&self) -> Result<Vec<Stored>, StoreError> {
        let mut query = self.sql(self.db.prepare("SELECT id FROM campaign ORDER BY id"))?;
        let ids: Vec<i64> =
            self.sql(query.query_map([], |r| r.get(0)).and_then(Iterator::collect::<Result<_, _>>))?;
        ids.into_iter().map(|id| self.campaign(id)).collect()
    }

    /// One campaign.
    ///
    /// # Errors
    /// There is none of that number, among others.
    pub fn campaign(&self, id: i64) -> Result<Stored, StoreError> {
        let row =
            self.db.query_row("SELECT created, record, answer FROM campaign WHERE id = ?1", [id], |r| {
                Ok((r.get(0)?, r.get::<_, String>(1)?, r.get(2)?))
            });
        let Some((created, record, answer)) = self.sql(row.optional())? else {
            return Err(StoreError::Missing { path: self.path.clone(), what: format!("campaign {id}") });
        };
        let record = self.parse(&record, || format!("campaign {id}"))?;
        Ok(Stored { id, created, record, answer, tally: self.tally(id, None)? })
    }

    /// Outcomes counted, of all machines or of one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn tally(&self, campaign: i64, variant: Option<usize>) -> Result<Tally, StoreError> {
        let mut query = self.sql(self.db.prepare_cached(
            "SELECT outcome, COUNT(*) FROM boot WHERE campaign = ?1 AND (?2 IS NULL OR variant = ?2) GROUP BY outcome",
        ))?;
        let variant = variant.map(|v| v as i64);
        let rows = query
            .query_map(params![campaign, variant], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)));
        let rows: Vec<(String, i64)> = self.sql(rows.and_then(Iterator::collect::<Result<_, _>>))?;
        let mut tally = Tally::default();
        for (name, count) in rows {
            if let Some(outcome) = Outcome::from_name(&name) {
                for _ in 0..count {
                    tally.add(outcome);
                }
            }
        }
        Ok(tally)
    }

    /// The numbers of the boots that are done, in order, with their outcomes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn done(&self, campaign: i64) -> Result<Vec<(u64, Outcome)>, StoreError> {
        let mut query = self.sql(
            self.db.prepare_cached("SELECT number, outcome FROM boot WHERE campaign = ?1 ORDER BY number"),
        )?;
        let rows = query.query_map([campaign], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?)));
        let rows: Vec<(i64, String)> = self.sql(rows.and_then(Iterator::collect::<Result<_, _>>))?;
        Ok(rows.into_iter().filter_map(|(n, o)| Some((n as u64, Outcome::from_name(&o)?))).collect())
    }

    /// Gives every boot of a campaign to a function, one at a time, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn each_boot(&self, campaign: i64, mut with: impl FnMut(StoredBoot)) -> Result<(), StoreError> {
        let mut query = self.sql(self.db.prepare_cached(
            "SELECT number, variant, seed, record FROM boot WHERE campaign = ?1 ORDER BY number",
        ))?;
        let mut rows = self.sql(query.query([campaign]))?;
        while let Some(row) = self.sql(rows.next())? {
            with(self.row(campaign, row)?);
        }
        Ok(())
    }

    /// One boot.
    ///
    /// # Errors
    /// There is none of that number, among others.
    pub fn boot(&self, campaign: i64, number: u64) -> Result<StoredBoot, StoreError> {
        let mut query = self.sql(self.db.prepare_cached(
            "SELECT number, variant, seed, record FROM boot WHERE campaign = ?1 AND number = ?2",
        ))?;
        let mut rows = self.sql(query.query(params![campaign, number as i64]))?;
        match self.sql(rows.next())? {
            Some(row) => self.row(campaign, row),
            None => Err(self.no_boot(campaign, number)),
        }
    }

    fn row(&self, campaign: i64, row: &rusqlite::Row<'_>) -> Result<StoredBoot, StoreError> {
        let number: i64 = self.sql(row.get(0))?;
        let variant: i64 = self.sql(row.get(1))?;
        let seed: Option<i64> = self.sql(row.get(2))?;
        let record: String = self.sql(row.get(3))?;
        Ok(StoredBoot {
            number: number as u64,
            variant: variant as usize,
            seed: seed.map(|s| s as u64),
            boot: self.parse(&record, || format!("boot {campaign}.{number}"))?,
        })
    }

    fn no_boot(&self, campaign: i64, number: u64) -> StoreError {
        StoreError::Missing { path: self.path.clone(), what: format!("boot {campaign}.{number}") }
    }

    /// The console of a boot.
    ///
    /// # Errors
    /// There is none of that number, among others.
    pub fn console(&self, campaign: i64, number: u64) -> Result<Console, StoreError> {
        let row = self.db.query_row(
            "SELECT console, stamps FROM boot WHERE campaign = ?1 AND number = ?2",
            params![campaign, number as i64],
            |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)),
        );
        let Some((bytes, stamps)) = self.sql(row.optional())? else {
            return Err(self.no_boot(campaign, number));
        };
        let damaged = || StoreError::Damaged {
            path: self.path.clone(),
            what: format!("the console of boot {campaign}.{number}"),
            why: "it does not decompress".into(),
        };
        let bytes = decompress(&bytes).ok_or_else(damaged)?;
        let stamps = decompress(&stamps).ok_or_else(damaged)?;
        unpack(bytes, &stamps).ok_or_else(damaged)
    }

    /// Boots that did not pass, by outcome and signature, the most frequent first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn clusters(&self, campaign: &Stored) -> Result<Vec<Cluster>, StoreError> {
        let mut query = self.sql(self.db.prepare_cached(
            "SELECT outcome, IFNULL(signature, ''), COUNT(*), MIN(number) FROM boot
             WHERE campaign = ?1 AND outcome <> 'passed' GROUP BY 1, 2 ORDER BY 3 DESC, 4",
        ))?;
        let rows = query.query_map([campaign.id], |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, i64>(2)?, r.get::<_, i64>(3)?))
        });
        let rows: Vec<(String, String, i64, i64)> =
            self.sql(rows.and_then(Iterator::collect::<Result<_, _>>))?;
        let mut clusters = Vec::new();
        for (name, signature, count, first) in rows {
            let Some(outcome) = Outcome::from_name(&name) else { continue };
            let first = self.boot(campaign.id, first as u64)?.boot;
            let (boots, by_variant) = self.members(campaign, &name, &signature)?;
            // What the host or the emulator spoilt is a share of all boots, a failure one of those that count.
            let of = if outcome.counts() { campaign.tally.counted() } else { campaign.tally.total() };
            clusters.push(Cluster {
                signature,
                outcome,
                kind: first.kind.unwrap_or_default(),
                title: first.title.unwrap_or_default(),
                count: count as u64,
                rate: Rate::new(count as u64, of, 0.95),
                diagnosis: first.diagnosis,
                boots,
                by_variant,
            });
        }
        Ok(clusters)
    }

    fn members(
        &self,
        campaign: &Stored,
        outcome: &str,
        signature: &str,
    ) -> Result<(Vec<u64>, Vec<u64>), StoreError> {
        /// Enough to look at.
        const SHOWN: usize = 20;
        let mut query = self.sql(self.db.prepare_cached(
            "SELECT number, variant FROM boot
             WHERE campaign = ?1 AND outcome = ?2 AND IFNULL(signature, '') = ?3 ORDER BY number",
        ))?;
        let rows = query.query_map(params![campaign.id, outcome, signature], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?))
        });
        let rows: Vec<(i64, i64)> = self.sql(rows.and_then(Iterator::collect::<Result<_, _>>))?;
        let mut by_variant = vec![0; campaign.record.plan.variants.len()];
        for (_, variant) in &rows {
            if let Some(slot) = by_variant.get_mut(*variant as usize) {
                *slot += 1;
            }
        }
        Ok((rows.into_iter().take(SHOWN).map(|(n, _)| n as u64).collect(), by_variant))
    }
}

/// Our records have string keys and finite numbers only: this cannot fail.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A console is text of 25 KiB that repeats itself: level 3 makes 5 KiB of it in a fraction of a millisecond.
const LEVEL: i32 = 3;

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    // It fails only where the buffer is too small, and that is the bound.
    let _ = zstd_safe::compress(&mut out, bytes, LEVEL);
    out
}

fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    /// Head and tail of a console, with room.
    const LIMIT: u64 = 64 << 20;
    let size = zstd_safe::get_frame_content_size(bytes).ok()??;
    let mut out = Vec::with_capacity(usize::try_from(size).ok().filter(|_| size <= LIMIT)?);
    zstd_safe::decompress(&mut out, bytes).ok()?;
    Some(out)
}

/// Total, then pairs of differences, as LEB128.
fn pack(console: &Console) -> Vec<u8> {
    let mut out = Vec::new();
    leb128(&mut out, console.total);
    let mut last = Stamp { offset: 0, ms: 0 };
    for &stamp in &console.stamps {
        leb128(&mut out, stamp.offset - last.offset);
        leb128(&mut out, u64::from(stamp.ms.saturating_sub(last.ms)));
        last = stamp;
    }
    out
}

fn unpack(bytes: Vec<u8>, packed: &[u8]) -> Option<Console> {
    let mut rest = packed;
    let total = read_leb128(&mut rest)?;
    let mut stamps = Vec::new();
    let mut last = Stamp { offset: 0, ms: 0 };
    while !rest.is_empty() {
        last.offset = last.offset.checked_add(read_leb128(&mut rest)?)?;
        last.ms = last.ms.checked_add(u32::try_from(read_leb128(&mut rest)?).ok()?)?;
        stamps.push(last);
    }
    Some(Console { bytes, stamps, total })
}

fn leb128(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::init::Init;
    use crate::machine::{Arch, Machine};
    use crate::plan::{StopRule, SuccessSpec, Variant};

    pub(crate) fn record(variants: usize) -> CampaignRecord {
        let machine = Machine::new(Arch::X86_64, Path::new("/boot/vmlinuz"));
        let variant = |i: usize| Variant {
            factors: vec![("smp".into(), i.to_string())],
            command_line: machine.shell_command(),
            machine: machine.clone(),
            qemu_sha256: "00".into(),
            qemu_version: "10.0.2".into(),
        };
        CampaignRecord {
            plan: Plan {
                variants: (0..variants).map(variant).collect(),
                boots: 10,
                jobs: 2,
                timeout_s: 60.0,
                quiet_s: None,
                stop: StopRule::Never,
                success: SuccessSpec::Builtin,
                complaints_fail: false,
                keep_memory: None,
                amplifier: None,
                snapshots: 0,
                snapshot_at: None,
                nonce: "n".into(),
                seed: 1,
                init: Init::Minimal,
            },
            kernel: Kernel {
                path: "/boot/vmlinuz".into(),
                sha256: "11".into(),
                kind: "bzImage".into(),
                arch: Arch::X86_64,
                release: Some("6.1.0".into()),
                build_id: None,
                unread: None,
            },
            host: Host {
                kernel: "6".into(),
                machine: "x86_64".into(),
                cpus: 2,
                cpu_model: None,
                memory_mib: 1,
            },
            kvet: "0".into(),
        }
    }

    pub(crate) fn boot(number: u64, variant: usize, outcome: Outcome, signature: Option<&str>) -> StoredBoot {
        StoredBoot {
            number,
            variant,
            seed: None,
            boot: Boot {
                outcome,
                kind: signature.map(|_| "panic".into()),
                title: signature.map(str::to_owned),
                signature: signature.map(str::to_owned),
                diagnosis: None,
                reports: Vec::new(),
                started: 1.0,
                wall_s: 2.0,
                decided_after_s: 0.0,
                cpu_s: 2.0,
                milestones: Vec::new(),
                own_s: 2.0,
                longest_gap_s: 0.5,
                last_line: "x".into(),
                console_bytes: 3,
                exit_code: None,
                exit_signal: None,
                emulator_said: String::new(),
                events: Vec::new(),
                registers: None,
                memory: None,
                memory_lost: None,
                pressure: crate::host::Pressure::default(),
            },
        }
    }

    fn console() -> Console {
        Console {
            bytes: b"one\ntwo\n".repeat(1000),
            stamps: vec![Stamp { offset: 0, ms: 3 }, Stamp { offset: 4000, ms: 70_000 }],
            total: 8000,
        }
    }

    #[test]
    fn what_is_put_in_comes_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep/store.sqlite");
        let store = Store::open(&path).expect("a store");
        let id = store.add_campaign(&record(2)).expect("added");
        let boots = [
            boot(0, 0, Outcome::Passed, None),
            boot(1, 1, Outcome::Failed, Some("a")),
            boot(2, 0, Outcome::Starved, Some("a")),
            boot(3, 1, Outcome::Failed, Some("a")),
            boot(4, 0, Outcome::Hung, Some("b")),
        ];
        for b in &boots {
            store.add_boot(id, b, &console()).expect("added");
        }
        drop(store);
        let store = Store::open(&path).expect("the store again");
        let campaign = store.campaign(id).expect("the campaign");
        assert_eq!(campaign.record, record(2));
        assert_eq!((campaign.tally.total(), campaign.tally.failures(), campaign.tally.starved), (5, 3, 1));
        assert_eq!(store.tally(id, Some(1)).expect("a tally").failed, 2);
        assert_eq!(store.boot(id, 3).expect("a boot"), boots[3]);
        assert_eq!(store.console(id, 3).expect("a console"), console());
        assert_eq!(store.done(id).expect("numbers").len(), 5);
        let clusters = store.clusters(&campaign).expect("clusters");
        let seen: Vec<_> = clusters.iter().map(|c| (c.outcome, c.signature.as_str(), c.count)).collect();
        assert_eq!(
            seen,
            [(Outcome::Failed, "a", 2), (Outcome::Starved, "a", 1), (Outcome::Hung, "b", 1)],
            "a starved boot never joins a failed one"
        );
        assert_eq!(clusters[0].by_variant, [0, 2]);
        assert_eq!((clusters[0].rate.boots, clusters[1].rate.boots), (4, 5));
        assert!(matches!(store.boot(id, 9), Err(StoreError::Missing { .. })));
        assert!(matches!(store.campaign(99), Err(StoreError::Missing { .. })));
    }

    #[test]
    fn a_boot_is_stored_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("s")).expect("a store");
        let id = store.add_campaign(&record(1)).expect("added");
        let b = boot(0, 0, Outcome::Passed, None);
        store.add_boot(id, &b, &console()).expect("added");
        assert!(store.add_boot(id, &b, &console()).is_err());
    }

    #[test]
    fn two_campaigns_write_one_store_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let store = Store::open(&path).expect("a store");
                    let id = store.add_campaign(&record(1)).expect("added");
                    for n in 0..25 {
                        store.add_boot(id, &boot(n, 0, Outcome::Passed, None), &console()).expect("added");
                    }
                });
            }
        });
        let campaigns = Store::open(&path).and_then(|s| s.campaigns()).expect("campaigns");
        assert_eq!(campaigns.iter().map(|c| c.tally.passed).collect::<Vec<_>>(), [25; 4]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = Store::open(Path::new("/proc/no/store")).err().expect("no store there");
        assert!(error.to_string().starts_with("/proc/no/store: the store cannot be opened"), "{error}");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        std::fs::write(
            &path,
            b"this is no database, but it is long enough to look like a header of one........",
        )
        .expect("written");
        assert!(matches!(Store::open(&path), Err(StoreError::Open { .. })));
    }

    #[test]
    fn a_newer_store_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        drop(Store::open(&path).expect("a store"));
        let db = Connection::open(&path).expect("the file");
        db.pragma_update(None, "user_version", FORMAT + 1).expect("changed");
        drop(db);
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { .. })));
    }

    #[test]
    fn a_full_disk_is_said_and_the_boots_before_are_safe() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let store = Store::open(&path).expect("a store");
        let id = store.add_campaign(&record(1)).expect("added");
        store.add_boot(id, &boot(0, 0, Outcome::Passed, None), &console()).expect("added");
        // SQLite's own limit fails as a full disk does.
        store.db.pragma_update(None, "max_page_count", 20).expect("limited");
        let mut stored = 1;
        let noise: Vec<u8> = (0..40_000u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        let big = Console { bytes: noise, stamps: Vec::new(), total: 0 };
        let error = loop {
            match store.add_boot(id, &boot(stored, 0, Outcome::Passed, None), &big) {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(error.to_string().contains("--resume"));
        drop(store);
        let store = Store::open(&path).expect("the store again");
        assert_eq!(store.done(id).expect("numbers").len() as u64, stored);
    }
}
