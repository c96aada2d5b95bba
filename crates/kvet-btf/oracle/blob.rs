//! BTF taken apart, so that it can be changed and put together again.

use kvet_btf::Btf;

/// Header words, types as words, strings.
#[derive(Clone, Debug)]
pub struct Blob {
    pub types: Vec<Vec<u32>>,
    pub strings: Vec<u8>,
    /// Values that replace bytes once all is put together: offset, value, width.
    pub patches: Vec<(usize, u32, usize)>,
    /// Bytes that are cut from the end, or added.
    pub cut: usize,
    pub extra: Vec<u8>,
    /// The header's length in words; more than six are zeros.
    pub header_words: usize,
}

impl Blob {
    pub fn new(types: Vec<Vec<u32>>, strings: Vec<u8>) -> Blob {
        Blob { types, strings, patches: Vec::new(), cut: 0, extra: Vec::new(), header_words: 6 }
    }

    /// Takes real BTF apart.
    pub fn from_btf(btf: &Btf<'_>, ids: impl Iterator<Item = u32>) -> Blob {
        let types = ids.filter_map(|id| words(btf, id)).collect();
        Blob::new(types, btf.strings().to_vec())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let type_len: usize = self.types.iter().map(|t| t.len() * 4).sum();
        let mut words = vec![
            0x0001_eb9f,
            self.header_words as u32 * 4,
            0,
            type_len as u32,
            type_len as u32,
            self.strings.len() as u32,
        ];
        words.resize(self.header_words.max(2), 0);
        words.extend(self.types.iter().flatten());
        let mut data: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        data.extend_from_slice(&self.strings);
        data.extend_from_slice(&self.extra);
        for &(at, value, width) in &self.patches {
            for (i, byte) in value.to_le_bytes().into_iter().enumerate().take(width) {
                if let Some(slot) = data.get_mut(at + i) {
                    *slot = byte;
                }
            }
        }
        data.truncate(data.len().saturating_sub(self.cut));
        data
    }

    /// Smaller blobs to try when this one shows a disagreement.
    pub fn smaller(&self) -> Vec<Blob> {
        let mut all = Vec::new();
        let n = self.types.len();
        for len in [n / 2, n / 4, 1] {
            for start in (0..n).step_by(len.max(1)) {
                if len == 0 || n > 400 && len == 1 {
                    continue;
                }
                let mut b = self.clone();
                b.types.drain(start..(start + len).min(n));
                all.push(b);
            }
        }
        if n > 0 && n <= 400 {
            for i in 0..n {
                let void = vec![0, 2 << 24, 0];
                if self.types[i] != void {
                    let mut b = self.clone();
                    b.types[i] = void;
                    all.push(b);
                }
            }
        }
        for i in 0..self.patches.len() {
            let mut b = self.clone();
            b.patches.remove(i);
            all.push(b);
        }
        if self.cut > 0 {
            all.push(Blob { cut: 0, ..self.clone() });
        }
        if !self.extra.is_empty() {
            all.push(Blob { extra: Vec::new(), ..self.clone() });
        }
        all
    }
}

/// One type's words.
pub fn words(btf: &Btf<'_>, id: u32) -> Option<Vec<u32>> {
    let t = btf.get(kvet_btf::TypeId(id))?;
    let (fixed, each) = t.kind().tail();
    let len = 12 + fixed + each * t.vlen() as usize;
    let at = btf.offset_of(t.id())? as usize;
    let bytes = btf.data().get(at..at + len)?;
    Some(bytes.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w)).collect())
}
