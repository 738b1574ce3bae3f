//! A line of a script as words: bare ones, and quoted text.
//!
//! `#` begins a comment. Quoted text knows the escapes `\n`, `\0`, `\\`, `\"` and `\xNN`.

use std::collections::VecDeque;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// As it stands.
    Bare(String),
    /// What stood between quotes.
    Text(Vec<u8>),
}

/// The words of a line that were not read yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(VecDeque<Word>);

/// The most bytes that `N bytes` may stand for: a datagram.
const DATA_BYTES_MAX: u64 = 65_535;

impl Words {
    /// Cuts `line` into words.
    pub(crate) fn split(line: &str) -> Result<Self, String> {
        let (mut words, mut rest) = (VecDeque::new(), line.trim_start());
        while !rest.is_empty() && !rest.starts_with('#') {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (text, after) = text(quoted)?;
                words.push_back(Word::Text(text));
                rest = after.trim_start();
            } else {
                let end = rest.find([' ', '\t', '"', '#']).unwrap_or(rest.len());
                words.push_back(Word::Bare(rest[..end].to_owned()));
                rest = rest[end..].trim_start();
            }
        }
        Ok(Self(words))
    }

    /// True if all words were read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `phrase` (one or more words) if it comes next.
    pub(crate) fn take(&mut self, phrase: &str) -> bool {
        let wanted: Vec<_> = phrase.split(' ').collect();
        let comes = wanted.iter().enumerate().all(|(i, w)| matches!(self.0.get(i), Some(Word::Bare(b)) if b == w));
        if comes {
            self.0.drain(..wanted.len());
        }
        comes
    }

    /// True if the next word is a range of sequence numbers: `1:11(10)`.
    pub(crate) fn peek_is_range(&self) -> bool {
        self.peek().is_some_and(|word| word.ends_with(')'))
    }

    /// Reads words up to the one that ends with `close`; the first begins with `open`.
    pub(crate) fn bracketed(&mut self, open: char, close: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            let word = self.bare(&format!("`{close}`"))?;
            text = if text.is_empty() { word } else { format!("{text} {word}") };
            if let Some(inner) = text.strip_prefix(open).and_then(|text| text.strip_suffix(close)) {
                return Ok(inner.to_owned());
            }
        }
    }

    /// Reads `phrase`, which must come next.
    pub(crate) fn expect(&mut self, phrase: &str) -> Result<(), String> {
        if self.take(phrase) { Ok(()) } else { Err(format!("expected `{phrase}` before {}", self.here())) }
    }

    /// Reads the next bare word.
    pub(crate) fn bare(&mut self, what: &str) -> Result<String, String> {
        match self.0.front() {
            Some(Word::Bare(_)) => {}
            _ => return Err(format!("expected {what} before {}", self.here())),
        }
        match self.0.pop_front() {
            Some(Word::Bare(word)) => Ok(word),
            _ => Err(format!("expected {what}")),
        }
    }

    /// The next bare word, not read.
    pub(crate) fn peek(&self) -> Option<&str> {
        match self.0.front() {
            Some(Word::Bare(word)) => Some(word),
            _ => None,
        }
    }

    /// Reads a value that its type can parse.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, what: &str) -> Result<T, String> {
        let word = self.bare(what)?;
        word.parse().map_err(|error| format!("`{word}` is not {what}: {error}"))
    }

    /// Reads a number, decimal or hexadecimal, that fits `T`.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, String> {
        let word = self.bare(what)?;
        let parsed = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let number = parsed.map_err(|error| format!("`{word}` is not {what}: {error}"))?;
        T::try_from(number).map_err(|_| format!("`{word}` is too large for {what}"))
    }

    /// Reads a time such as `1.5s`, `200ms` or `10us`.
    pub(crate) fn duration(&mut self) -> Result<Duration, String> {
        let word = self.bare("a time")?;
        let units = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0)];
        let found = units.into_iter().find_map(|(unit, scale)| Some((word.strip_suffix(unit)?, scale)));
        let seconds = found.and_then(|(digits, scale)| Some(digits.parse::<f64>().ok()? * scale));
        let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        time.ok_or_else(|| format!("`{word}` is not a time; write it like 1.5s, 200ms or 10us"))
    }

    /// Reads data if it comes next: `"text"`, `hex 0a0b...` or `100 bytes`.
    pub(crate) fn data(&mut self) -> Result<Option<Vec<u8>>, String> {
        if matches!(self.0.front(), Some(Word::Text(_))) {
            let Some(Word::Text(text)) = self.0.pop_front() else { return Ok(None) };
            return Ok(Some(text));
        }
        if self.take("hex") {
            return hex(&self.bare("hexadecimal bytes")?).map(Some);
        }
        if matches!(self.0.get(1), Some(Word::Bare(unit)) if unit == "bytes" || unit == "byte") {
            let count: u64 = self.number("a number of bytes")?;
            self.0.pop_front();
            return Ok(Some(filler(count.min(DATA_BYTES_MAX))));
        }
        Ok(None)
    }

    /// Reads data, which must come next.
    pub(crate) fn some_data(&mut self) -> Result<Vec<u8>, String> {
        self.data()?.ok_or_else(|| format!("expected data (\"text\", hex ..., or N bytes) before {}", self.here()))
    }

    /// Reads all words that are left, with one space between them.
    pub(crate) fn rest(&mut self) -> Result<String, String> {
        let mut text = self.bare("a value")?;
        while !self.is_empty() {
            text = format!("{text} {}", self.bare("a value")?);
        }
        Ok(text)
    }

    /// Fails if a word is left.
    pub(crate) fn end(&self) -> Result<(), String> {
        if self.is_empty() { Ok(()) } else { Err(format!("did not understand {}", self.here())) }
    }

    fn here(&self) -> String {
        match self.0.front() {
            Some(Word::Bare(word)) => format!("`{word}`"),
            Some(Word::Text(text)) => format!("\"{}\"", text.escape_ascii()),
            None => "the end of the line".to_owned(),
        }
    }
}

/// What `N bytes` stands for: bytes that differ from their neighbours.
pub(crate) fn filler(count: u64) -> Vec<u8> {
    filler_at(0, count)
}

/// The same from place `start` of a stream on.
pub(crate) fn filler_at(start: u32, count: u64) -> Vec<u8> {
    (0..count).map(|i| ((u64::from(start) + i) % 251) as u8).collect()
}

/// Bytes in hexadecimal, without spaces.
pub(crate) fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
    let bytes: Option<Vec<u8>> = pairs.map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect();
    bytes.ok_or_else(|| format!("`{digits}` is not a row of hexadecimal bytes"))
}

/// Quoted text up to its closing quote, and what follows it.
fn text(quoted: &str) -> Result<(Vec<u8>, &str), String> {
    let (mut bytes, mut rest) = (Vec::new(), quoted);
    loop {
        let next = rest.chars().next().ok_or("a quoted text has no end")?;
        rest = &rest[next.len_utf8()..];
        match next {
            '"' => return Ok((bytes, rest)),
            '\\' => {
                let (byte, after) = escape(rest)?;
                bytes.push(byte);
                rest = after;
            }
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}

fn escape(rest: &str) -> Result<(u8, &str), String> {
    let simple = [("n", b'\n'), ("0", 0), ("\\", b'\\'), ("\"", b'"')];
    if let Some(found) = simple.into_iter().find_map(|(mark, byte)| Some((byte, rest.strip_prefix(mark)?))) {
        return Ok(found);
    }
    let digits = rest.strip_prefix('x').and_then(|r| Some((r.get(..2)?, r.get(2..)?)));
    let byte = digits.and_then(|(d, after)| Some((u8::from_str_radix(d, 16).ok()?, after)));
    byte.ok_or_else(|| "an escape is one of \\n, \\0, \\\\, \\\" and \\xNN".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_text_and_comments() {
        let mut words = Words::split(r#"  s1 send "a # \"b\"\x00" to  10.0.0.1:7 # why"#).unwrap();
        assert!(words.take("s1 send") && !words.take("to"));
        assert_eq!(words.data().unwrap().unwrap(), b"a # \"b\"\0");
        assert!(words.take("to"));
        assert!(words.value::<std::net::SocketAddrV4>("an address").is_ok());
        assert!(words.is_empty() && words.end().is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Words::split("\"abc").unwrap_err(), "a quoted text has no end");
        assert!(Words::split("5").unwrap().duration().unwrap_err().contains("1.5s"));
        assert!(Words::split("300").unwrap().number::<u8>("a TTL").unwrap_err().contains("too large"));
        assert!(Words::split("hex 0a0").unwrap().data().is_err());
        assert!(Words::split("x y").unwrap().expect("y").unwrap_err().contains("`x`"));
    }

    #[test]
    fn times_and_sizes() {
        let mut words = Words::split("1.5s 200ms 10us 0x10 3 bytes").unwrap();
        assert_eq!(words.duration(), Ok(Duration::from_millis(1500)));
        assert_eq!(words.duration(), Ok(Duration::from_millis(200)));
        assert_eq!(words.duration(), Ok(Duration::from_micros(10)));
        assert_eq!(words.number::<u8>("x"), Ok(16));
        assert_eq!(words.data(), Ok(Some(vec![0, 1, 2])));
    }
}
