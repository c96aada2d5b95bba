//! Tests of the containers: every format is built by the test, with the encoder of its own library where there
//! is one.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;

use super::compress::{Format, decompress};
use super::{Form, Limit, describe, recognise};
use crate::{ErrorKind, Image, Kind};

/// An x86-64 or arm64 vmlinux of one `.text` section of `size` bytes.
fn vmlinux(machine: u16, size: usize) -> Vec<u8> {
    let names = b"\0.text\0.shstrtab\0";
    let text_at = 64;
    let names_at = text_at + size;
    let table_at = (names_at + names.len()).next_multiple_of(8);
    let mut file = vec![0; table_at];
    file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(&mut file, 16, &2u16.to_le_bytes());
    put(&mut file, 18, &machine.to_le_bytes());
    put(&mut file, 20, &1u32.to_le_bytes());
    put(&mut file, 0x28, &(table_at as u64).to_le_bytes());
    put(&mut file, 0x34, &64u16.to_le_bytes());
    put(&mut file, 0x3a, &64u16.to_le_bytes());
    put(&mut file, 0x3c, &3u16.to_le_bytes());
    put(&mut file, 0x3e, &2u16.to_le_bytes());
    // Compressible, but not trivially so: two lines of 64 bytes of three repeat the one before.
    let mut state = 1u32;
    for at in text_at..names_at {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        file[at] = if (at / 64) % 3 == 1 { (state >> 28) as u8 } else { file[at - 64] };
    }
    put(&mut file, names_at, names);
    let mut section = |name: u32, kind: u32, flags: u64, addr: u64, at: usize, size: usize| {
        file.extend_from_slice(&name.to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        file.extend_from_slice(&addr.to_le_bytes());
        file.extend_from_slice(&(at as u64).to_le_bytes());
        file.extend_from_slice(&(size as u64).to_le_bytes());
        file.extend_from_slice(&[0; 24]);
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 1, 6, 0xffff_ffff_8100_0000, text_at, size);
    section(7, 3, 0, 0, names_at, names.len());
    file
}

fn x86(size: usize) -> Vec<u8> {
    vmlinux(62, size)
}

fn compress(format: Format, data: &[u8]) -> Vec<u8> {
    use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
    let through = |stream: Stream| {
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    match format {
        Format::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Format::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Format::Lzma => through(Stream::new_lzma_encoder(&LzmaOptions::new_preset(0).unwrap()).unwrap()),
        Format::Xz => {
            let mut filters = Filters::new();
            filters.x86().lzma2(&LzmaOptions::new_preset(0).unwrap());
            through(Stream::new_stream_encoder(&filters, Check::Crc32).unwrap())
        }
        Format::Lzo => lzop(data, 1),
        Format::Lz4Legacy => {
            let mut out = super::lz4::MAGIC.to_vec();
            for block in data.chunks(8 << 20) {
                let packed = lz4_flex::block::compress(block);
                out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
                out.extend_from_slice(&packed);
            }
            out
        }
        Format::Lz4Frame => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Format::Zstd => {
            let mut out = vec![0; zstd_safe::compress_bound(data.len())];
            let size = zstd_safe::compress(&mut out[..], data, 1).unwrap();
            out.truncate(size);
            out
        }
    }
}

/// lzop's container as `lzop -9` writes it: version 0x1040, one Adler-32 of the plain data where `flags` has bit 0.
fn lzop(data: &[u8], flags: u32) -> Vec<u8> {
    let mut out = super::lzo::MAGIC.to_vec();
    out.extend_from_slice(&[0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 3, 9]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(b"\x03vml\0\0\0\0");
    for block in data.chunks(256 << 10) {
        let packed = lzokay::compress::compress(block).unwrap();
        let stored = if packed.len() < block.len() { &packed[..] } else { block };
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&(stored.len() as u32).to_be_bytes());
        out.resize(out.len() + flags.count_ones() as usize * 4, 0);
        out.extend_from_slice(stored);
    }
    out.extend_from_slice(&[0; 4]);
    out
}

const FORMATS: [Format; 8] = [
    Format::Gzip,
    Format::Bzip2,
    Format::Lzma,
    Format::Xz,
    Format::Lzo,
    Format::Lz4Legacy,
    Format::Lz4Frame,
    Format::Zstd,
];

/// A bzImage around a compressed payload, with the decompressed size appended as mkpiggy expects it.
fn bzimage(payload: &[u8], plain: usize) -> Vec<u8> {
    let mut file = vec![0; 0x600];
    file[..2].copy_from_slice(b"MZ");
    file[0x1f1] = 1;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&0x200u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
    file[0x260..0x264].copy_from_slice(&(plain as u32 + (1 << 20)).to_le_bytes());
    file.extend_from_slice(payload);
    file.extend_from_slice(&(plain as u32).to_le_bytes());
    file.extend_from_slice(b"what follows the payload");
    file
}

fn zboot(payload: &[u8], machine: u16) -> Vec<u8> {
    let mut file = vec![0; 0x80];
    file[..8].copy_from_slice(b"MZ\0\0zimg");
    file[8..12].copy_from_slice(&0x80u32.to_le_bytes());
    file[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file[24..30].copy_from_slice(b"zstd22");
    file[0x3c..0x40].copy_from_slice(&0x40u32.to_le_bytes());
    file[0x40..0x44].copy_from_slice(b"PE\0\0");
    file[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    file.extend_from_slice(payload);
    file.extend_from_slice(b"\x12\x34\x56\x78 and a signature");
    file
}

fn open(bytes: Vec<u8>) -> Result<Image, ErrorKind> {
    Image::from_bytes(Path::new("test"), bytes).map_err(|e| e.kind)
}

fn refusal(bytes: Vec<u8>) -> String {
    match open(bytes) {
        Ok(_) => panic!("opened"),
        Err(kind) => kind.to_string(),
    }
}

#[test]
fn every_format_comes_back_whole() {
    // Less than a head, more than one, and more than one LZO and one LZ4 block.
    assert!(compress(Format::Lzo, &x86(1 << 20)).len() < 1 << 19, "LZO blocks are compressed");
    for size in [100, 70_000, 300_000, (8 << 20) + 5000] {
        let plain = x86(size);
        for format in FORMATS {
            if size > 1 << 20 && matches!(format, Format::Bzip2 | Format::Lzma | Format::Xz) {
                continue; // Slow to make, and no block of theirs is that long.
            }
            let packed = compress(format, &plain);
            assert_eq!(Format::of(&packed), Some(format));
            let image = open(packed).unwrap();
            assert_eq!(image.raw(), plain, "{format:?} of {size}");
            assert_eq!(image.kind(), Kind::Vmlinux);
            assert_eq!(image.sections().len(), 1);
        }
    }
}

#[test]
fn a_bzimage_gives_its_vmlinux() {
    let mut plain = x86(200_000);
    let end = plain.len();
    plain.extend_from_slice(&[0x5a; 5000]); // the relocation data that follows the ELF
    for format in FORMATS {
        let image = open(bzimage(&compress(format, &plain), plain.len())).unwrap();
        assert_eq!(image.kind(), Kind::BzImage);
        assert_eq!(image.raw()[..end], plain[..end], "{format:?}");
    }
    let plainly = open(bzimage(&x86(100), 0)).unwrap();
    assert_eq!(plainly.kind(), Kind::BzImage);
}

#[test]
fn a_zboot_image_gives_its_kernel() {
    for format in FORMATS {
        let plain = vmlinux(183, 100_000);
        let image = open(zboot(&compress(format, &plain), 0xaa64)).unwrap();
        assert_eq!(image.kind(), Kind::Zboot);
        assert_eq!(image.raw(), plain, "{format:?}");
    }
    let message = refusal(zboot(&compress(Format::Gzip, &x86(100)), 0x5064));
    assert_eq!(
        message,
        "is for another architecture: expected x86-64 or arm64, found an EFI zboot image for RISC-V (64-bit)"
    );
}

#[test]
fn layers_are_undone_but_not_without_end() {
    let plain = x86(5000);
    let image = open(compress(Format::Gzip, &bzimage(&compress(Format::Xz, &plain), plain.len()))).unwrap();
    assert_eq!((image.kind(), image.raw()), (Kind::BzImage, &plain[..]));
    let mut nested = plain;
    for _ in 0..8 {
        nested = compress(Format::Gzip, &nested);
    }
    assert!(refusal(nested).contains("more than 4 layers"));
}

#[test]
fn what_follows_a_stream_does_not_matter() {
    let plain = x86(100_000);
    for format in FORMATS {
        for tail in [&b"\0\0\0\0"[..], b"\xa4\x86\x01\0", b"~Module signature appended~\n", &[0xff; 5000]] {
            let mut packed = compress(format, &plain);
            packed.extend_from_slice(tail);
            assert_eq!(open(packed).unwrap().raw(), plain, "{format:?} before {tail:02x?}");
        }
    }
}

#[test]
fn concatenated_members_are_one_file() {
    let plain = x86(100_000);
    let (first, second) = plain.split_at(70_000);
    for format in [Format::Gzip, Format::Bzip2, Format::Xz, Format::Lz4Frame, Format::Zstd] {
        let both = [compress(format, first), compress(format, second)].concat();
        assert_eq!(open(both).unwrap().raw(), plain, "{format:?}");
    }
    // pzstd begins with a frame to skip.
    let skipped = [b"\x50\x2a\x4d\x18\x04\0\0\0\0\0\0\0".to_vec(), compress(Format::Zstd, &plain)].concat();
    assert_eq!(open(skipped).unwrap().raw(), plain);
}

#[test]
fn a_cut_stream_is_an_error_wherever_it_is_cut() {
    let plain = x86(300_000);
    for format in FORMATS {
        let packed = compress(format, &plain);
        // The last byte of an LZ4 frame is a checksum's that its library does not insist on.
        let last = packed.len() - if format == Format::Lz4Frame { 10 } else { 1 };
        for cut in [20, packed.len() / 2, last] {
            match open(packed[..cut].to_vec()) {
                Err(ErrorKind::Decompress { .. } | ErrorKind::Truncated { .. }) => {}
                Err(ErrorKind::NotAKernel { .. }) if cut == 20 => {}
                Err(other) => panic!("{format:?} cut at {cut}: {other}"),
                Ok(_) => panic!("{format:?} cut at {cut}: opened"),
            }
        }
    }
}

#[test]
fn lzo_blocks_have_the_checksums_that_the_flags_say() {
    let plain = x86(300_000);
    for flags in [0, 1, 3, 0x100, 0x303] {
        assert_eq!(open(lzop(&plain, flags)).unwrap().raw(), plain, "flags {flags:#x}");
    }
    // What `printf 'hello, lzo world!' | lzop -9` would hold, with a block that lzop itself made.
    let stream =
        [34u8, 104, 101, 108, 108, 111, 44, 32, 108, 122, 111, 32, 119, 111, 114, 108, 100, 33, 17, 0, 0];
    let mut room = [0; 17];
    assert_eq!(lzo::decompress_into(&stream, &mut room), Ok(17));
    assert_eq!(&room, b"hello, lzo world!");
}

#[test]
fn what_decompresses_to_no_kernel_is_named_and_stopped_early() {
    let bomb = compress(Format::Gzip, &vec![0; 64 << 20]);
    assert!(refusal(bomb).ends_with("found zeros (65536 bytes), compressed with gzip"));
    let mut initrd = b"070701".to_vec();
    initrd.resize(100_000, b'0');
    for format in FORMATS {
        let message = refusal(compress(format, &initrd));
        let end = format!("found a cpio archive (an initrd), compressed with {}", format.name());
        assert!(message.ends_with(&end), "{message}");
    }
}

#[test]
fn a_payload_may_not_exceed_what_its_header_promises() {
    let mut plain = x86(100_000);
    let promised = plain.len();
    plain.resize(promised + (2 << 20), 7);
    for format in FORMATS {
        // init_size is 1 MiB more than what the header is told here.
        let file = bzimage(&compress(format, &plain), promised);
        let limit = promised + (1 << 20);
        let message = refusal(file);
        assert!(
            message.contains(&format!(
                "more than the {limit} bytes that the bzImage setup header's init_size allows"
            )),
            "{format:?}: {message}"
        );
    }
    // An ELF that goes on for more than 64 MiB behind its section headers.
    plain.resize(promised + (65 << 20), 7);
    for format in [Format::Gzip, Format::Lz4Legacy, Format::Zstd] {
        let message = refusal(compress(format, &plain));
        assert!(message.contains("that its ELF header allows"), "{format:?}: {message}");
    }
}

#[test]
fn a_header_that_promises_too_much_reserves_nothing() {
    // A zstd frame header of 1 EiB before one tiny block.
    let plain = x86(100);
    let packed = compress(Format::Zstd, &plain);
    let mut lying = b"\x28\xb5\x2f\xfd\xe0".to_vec();
    lying.extend_from_slice(&(1u64 << 60).to_le_bytes());
    // Single segment with a 1-, 2- or 4-byte size: skip magic, descriptor and size.
    let skip = 5 + match packed[4] >> 6 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    lying.extend_from_slice(&packed[skip..]);
    assert!(matches!(open(lying), Err(ErrorKind::Decompress { format: "zstd", .. })));
}

#[test]
fn bzimage_headers_that_lie() {
    let good = bzimage(&compress(Format::Gzip, &x86(5000)), 5000);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(file)
    };
    assert!(with(0x24c, &[0xff; 4]).starts_with("is truncated: the bzImage payload needs"));
    assert!(with(0x248, &[0xff; 4]).starts_with("is truncated: the bzImage payload needs"));
    assert!(with(0x248, &[0; 4]).contains("payload_offset 0x0"));
    assert!(with(0x206, &[7, 2]).contains("found 2.07"));
    assert!(with(0x248, &0x204u32.to_le_bytes()).contains("bzImage payload at 0x604"));
    assert!(refusal(good[..0x230].to_vec()).contains("is truncated: the bzImage setup header needs"));
    assert!(refusal(good[..0x700].to_vec()).contains("is truncated: the bzImage payload needs"));
}

#[test]
fn other_machines_are_named() {
    let elf = |class: u8, order: u8, machine: u16| {
        let mut file = x86(100);
        (file[4], file[5]) = (class, order);
        let field = if order == 2 { machine.to_be_bytes() } else { machine.to_le_bytes() };
        file[18..20].copy_from_slice(&field);
        file
    };
    for (file, found) in [
        (elf(2, 1, 243), "a 64-bit ELF file for RISC-V"),
        (elf(1, 1, 40), "a 32-bit ELF file for ARM (32-bit)"),
        (elf(1, 1, 3), "a 32-bit ELF file for x86 (i386)"),
        (elf(2, 2, 183), "a 64-bit big-endian ELF file for arm64"),
        (elf(2, 2, 22), "a 64-bit big-endian ELF file for s390"),
    ] {
        let expected = format!("is for another architecture: expected x86-64 or arm64, found {found}");
        assert_eq!(refusal(file.clone()), expected);
        assert_eq!(refusal(bzimage(&compress(Format::Xz, &file), file.len())), expected);
    }
}

#[test]
fn elf_files_that_are_no_kernel() {
    let mut core = x86(100);
    core[16] = 4;
    assert!(refusal(core).ends_with("found an ELF core dump"));
    let mut program = x86(200);
    program[16] = 3;
    program[0x20..0x28].copy_from_slice(&64u64.to_le_bytes());
    program[0x38..0x3a].copy_from_slice(&1u16.to_le_bytes());
    program[64..68].copy_from_slice(&3u32.to_le_bytes());
    assert!(refusal(program).ends_with("found a user-space ELF program or shared library"));
    let cut = x86(1000);
    let message = refusal(cut[..700].to_vec());
    assert!(message.starts_with("is truncated: the ELF section header table needs"), "{message}");
    assert!(refusal(cut[..30].to_vec()).starts_with("is truncated: the ELF header needs 64 bytes, 30"));
}

#[test]
fn other_files_are_named() {
    let padded = |magic: &[u8], at: usize| {
        let mut file = vec![0xee; 0x9000];
        file[at..at + magic.len()].copy_from_slice(magic);
        file
    };
    for (file, found) in [
        (Vec::new(), "an empty file"),
        (padded(b"070701", 0), "a cpio archive (an initrd)"),
        (padded(b"ustar\0", 257), "a tar archive"),
        (padded(b"!<arch>\ndebian-binary   ", 0), "a Debian package: unpack it with dpkg-deb -x"),
        (
            padded(b"\x9f\xeb\x01\0", 0),
            "raw BTF, little-endian (as /sys/kernel/btf/vmlinux), which describes a kernel",
        ),
        (b"#!/bin/sh\n".to_vec(), "a script"),
        (b"ffffffff81000000 T _text\n".to_vec(), "a System.map, which lists a kernel's symbols"),
        (b"hello there\nyou\n".to_vec(), "a text file that begins with \"hello there\""),
        (b"\x01\x02\x03".to_vec(), "a file of 3 bytes that begins with 01 02 03"),
        (vec![0; 99], "zeros (99 bytes)"),
    ] {
        assert_eq!(recognise(&file), Form::Other);
        assert_eq!(describe(&file), found);
        assert!(refusal(file).ends_with(&format!("found {found}")));
    }
    let mut efi = zboot(b"", 0x8664);
    efi[4..8].fill(0);
    assert_eq!(describe(&efi), "an EFI or PE executable for x86-64 that is no kernel");
    efi[0x46] = 1; // one section
    efi[0x58..0x5f].copy_from_slice(b".linux\0");
    assert!(describe(&efi).starts_with("a unified kernel image"));
}

#[test]
fn directories_and_devices_are_refused() {
    let message = |path: &str| match Image::open(Path::new(path)) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    };
    assert!(message("/").starts_with("/: is not a kernel image"));
    assert!(message("/").ends_with("found a directory"));
    assert!(message("/dev/null").ends_with("found a device or a socket"));
    assert!(message("/nonexistent").starts_with("/nonexistent: cannot be read: No such file"));
}

/// A short deterministic relative of the fuzz target `image_open`: damaged files may be refused, and nothing else.
#[test]
fn damaged_files_neither_panic_nor_run_away() {
    let plain = x86(3000);
    let mut seeds: Vec<Vec<u8>> = FORMATS.iter().map(|f| compress(*f, &plain)).collect();
    seeds.push(bzimage(&compress(Format::Zstd, &plain), plain.len()));
    seeds.push(zboot(&compress(Format::Lz4Legacy, &plain), 0xaa64));
    seeds.push(plain);
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut refused = 0;
    for round in 0..4000 {
        let mut file = seeds[round % seeds.len()].clone();
        for _ in 0..1 + random() % 4 {
            // Mostly in the first kilobyte or two, where headers are.
            let at = random() % file.len().min(if random() % 4 == 0 { usize::MAX } else { 1700 });
            match random() % 4 {
                0 => file[at] = random() as u8,
                1 => file[at] ^= 1 << (random() % 8),
                2 => file[at] = [0, 0xff, 0x7f, 0x80][random() % 4],
                _ => file.truncate(at + 1),
            }
        }
        match open(file) {
            Ok(image) => walk(&image),
            Err(_) => refused += 1,
        }
    }
    assert!((400..4000).contains(&refused), "{refused} of 4000 refused");
}

fn walk(image: &Image) {
    for section in image.sections() {
        assert!(image.section_bytes(section).len() as u64 <= section.size);
        let _ = image.symbolize(section.addr);
    }
    for symbol in image.symbols().iter() {
        let _ = image.bytes_up_to(symbol.addr, 16);
    }
    let _ = (image.banner(), image.build_id(), image.config());
}

#[test]
fn the_decompressor_reports_a_limit_of_its_own() {
    let packed = compress(Format::Xz, &x86(100_000));
    let tiny = Limit { bytes: 1000, promised_by: "this test" };
    let Err(error) = decompress(&packed, Format::Xz, tiny) else { panic!("decompressed") };
    assert!(error.to_string().contains("more than the 1000 bytes that this test allows"), "{error}");
}
