//! The order that the kernel's sort() gives to a few elements under a comparison that is no order.
//!
//! `btf_sec_info_cmp` subtracts unsigned offsets and looks at the sign, which is not transitive once offsets
//! lie 2 GiB apart; then the algorithm decides. lib/sort.c is a bottom-up heap sort, which takes the two
//! largest at a time from 6.11 on; for two or three elements both give the same order.

/// Sorts two or three elements as sort() does.
pub(crate) fn sort<T: Copy>(items: &mut [T], compare: impl Fn(&T, &T) -> i32) {
    match items {
        [a, b]
            // The heap's root is the larger; it goes last, and of two that are equal the first.
            if compare(a, b) >= 0 => {
                std::mem::swap(a, b);
            }
        [_, _, _] => {
            let child = if compare(&items[1], &items[2]) > 0 { 1 } else { 2 };
            if compare(&items[0], &items[child]) < 0 {
                items.swap(0, child);
            }
            items.swap(0, 2);
            if compare(&items[0], &items[1]) > 0 {
                items.swap(0, 1);
            }
        }
        _ => {}
    }
}
