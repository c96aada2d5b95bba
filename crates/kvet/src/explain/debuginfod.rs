//! A debuginfod server asked over plain HTTP, for machines without elfutils' client. TLS, proxies and redirections are
//! that client's; a server in one's own network needs none of them.
//!
//! The web API is elfutils' (debuginfod(8)): `GET URL/buildid/BUILDID/debuginfo`. The cache is laid out as its client's,
//! so that both share it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No kernel's debug file is larger; a server that sends more is not one.
const MAX_SIZE: u64 = 8 << 30;
/// Header lines and bytes of one that are read.
const MAX_HEADERS: usize = 128;
const MAX_LINE: u64 = 16 << 10;

/// Where elfutils' client keeps what it fetched.
pub fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DEBUGINFOD_CACHE_PATH")
        .or_else(|| set("XDG_CACHE_HOME").map(|home| home.join("debuginfod_client")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/debuginfod_client")))
}

/// The debug file of a build id, from the cache or from the first server of `urls` (separated by spaces) that has it.
pub fn fetch(urls: &str, build_id: &str, cache: &Path, patience: Duration) -> Result<PathBuf, String> {
    if build_id.is_empty() || !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{build_id:?} is no build id"));
    }
    let directory = cache.join(build_id);
    let kept = directory.join("debuginfo");
    if fs::metadata(&kept).is_ok_and(|file| file.len() > 0) {
        return Ok(kept);
    }
    let mut failures = Vec::new();
    for url in urls.split_whitespace() {
        let Some(address) = url.strip_prefix("http://") else {
            failures.push(format!(
                "{url}: needs debuginfod-find (package debuginfod): only http:// is spoken here"
            ));
            continue;
        };
        match download(address, build_id, &directory, &kept, patience) {
            Ok(()) => return Ok(kept),
            Err(error) => failures.push(format!("{url}: {error}")),
        }
    }
    Err(failures.join("; "))
}

fn download(
    address: &str,
    build_id: &str,
    directory: &Path,
    kept: &Path,
    patience: Duration,
) -> io::Result<()> {
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let path = path.trim_matches('/');
    let separator = if path.is_empty() { "" } else { "/" };
    let body = get(host, &format!("/{path}{separator}buildid/{build_id}/debuginfo"), patience)?;
    fs::create_dir_all(directory)?;
    // Another process may fetch the same file: each writes its own, and the last one to end wins.
    let partial = directory.join(format!("debuginfo.{}", std::process::id()));
    let written = File::create(&partial).and_then(|mut file| {
        let size = io::copy(&mut body.reader.take(body.size.unwrap_or(MAX_SIZE)), &mut file)?;
        file.flush()?;
        match body.size {
            Some(told) if told != size => Err(broken(&format!("{size} of {told} bytes came"))),
            _ if size == 0 => Err(broken("an empty file came")),
            _ => Ok(()),
        }
    });
    let result = written.and_then(|()| fs::rename(&partial, kept));
    if result.is_err() {
        // What is left of a failure is nobody's.
        let _ = fs::remove_file(&partial);
    }
    result
}

/// What a server sends behind its headers.
struct Body {
    reader: BufReader<TcpStream>,
    /// Bytes, where it says so.
    size: Option<u64>,
}

/// `GET` in HTTP/1.0: the body comes in one piece and the connection ends with it.
fn get(host: &str, path: &str, patience: Duration) -> io::Result<Body> {
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = connect(&with_port, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: kvet\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let status = header(&mut reader)?;
    let code = status.split_ascii_whitespace().nth(1).unwrap_or("");
    if !status.starts_with("HTTP/1.") {
        return Err(broken("the answer is not HTTP"));
    }
    if code != "200" {
        return Err(broken(&format!("the server answers {}", status.trim())));
    }
    let mut size = None;
    for _ in 0..MAX_HEADERS {
        let line = header(&mut reader)?;
        if line.is_empty() {
            return match size {
                Some(size) if size > MAX_SIZE => Err(broken("the file is too large")),
                size => Ok(Body { reader, size }),
            };
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                size = Some(value.trim().parse().map_err(|_| broken("a length that is none"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(broken("the body comes in pieces, which HTTP/1.0 does not know"));
            }
        }
    }
    Err(broken("too many headers"))
}

fn connect(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = broken("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn header(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(broken("the answer ends in its headers"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server that answers once for each answer; it returns what it was asked.
    fn server(answers: Vec<&'static [u8]>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut request = String::new();
                reader.read_line(&mut request).unwrap();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                asked.push(request.trim_end().to_owned());
                stream.write_all(answer).unwrap();
            }
            asked
        });
        (url, thread)
    }

    #[test]
    fn a_file_is_fetched_once_and_kept() {
        let cache = tempfile::tempdir().unwrap();
        let (url, thread) = server(vec![
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-DEBUGINFOD-SIZE: 7\r\n\r\n\x7fELF\0\n\x01",
        ]);
        let path = fetch(&format!("{url}/sub/"), ID, cache.path(), PATIENCE).unwrap();
        assert_eq!(path, cache.path().join(ID).join("debuginfo"));
        assert_eq!(fs::read(&path).unwrap(), b"\x7fELF\0\n\x01");
        assert_eq!(thread.join().unwrap(), [format!("GET /sub/buildid/{ID}/debuginfo HTTP/1.0")]);
        // The server is gone; the file is not.
        assert_eq!(fetch(&url, ID, cache.path(), PATIENCE).unwrap(), path);
    }

    #[test]
    fn the_next_server_is_asked_when_one_has_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let (without, first) = server(vec![b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]);
        let (with, second) = server(vec![b"HTTP/1.0 200 OK\r\n\r\nall of it"]);
        let path = fetch(&format!("https://x.example {without} {with}"), ID, cache.path(), PATIENCE).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"all of it");
        assert_eq!((first.join().unwrap().len(), second.join().unwrap().len()), (1, 1));
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_is_kept() {
        let cache = tempfile::tempdir().unwrap();
        for (answer, why) in [
            (&b"HTTP/1.1 404 Not Found\r\n\r\n"[..], "404"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nshort", "5 of 70 bytes"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "pieces"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", "too large"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
            (b"HTTP/1.1 200 OK\r\nX: y", "ends in its headers"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "empty"),
        ] {
            let (url, thread) = server(vec![answer]);
            let error = fetch(&url, ID, cache.path(), PATIENCE).unwrap_err();
            assert!(error.contains(why) && error.starts_with(&url), "{error:?} does not say {why:?}");
            thread.join().unwrap();
            let left = fs::read_dir(cache.path().join(ID)).map_or(0, |entries| entries.count());
            assert_eq!(left, 0, "{why}");
        }
        assert!(
            fetch("https://x.example", ID, cache.path(), PATIENCE).unwrap_err().contains("debuginfod-find")
        );
        assert!(fetch("http://x.example", "../../etc", cache.path(), PATIENCE).is_err());
    }

    #[test]
    fn the_cache_is_elfutils() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            cache(move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(with(&[("HOME", "/h")]), Some(PathBuf::from("/h/.cache/debuginfod_client")));
        assert_eq!(
            with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]),
            Some(PathBuf::from("/x/debuginfod_client"))
        );
        assert_eq!(with(&[("DEBUGINFOD_CACHE_PATH", "/c"), ("HOME", "/h")]), Some(PathBuf::from("/c")));
        assert_eq!(with(&[]), None);
    }
}
