//! Functions that stand between a failure and the function at fault: data, by reason.
//!
//! A helper is a function whose arguments another function has to answer for: `memcpy` does not choose its
//! pointers, `lock_acquire` does not choose the order of locks, `die` only reports. The list follows the kernel's
//! own layout (mm/kasan, kernel/locking, lib, arch entry code, ...), versions 4.4 to 7.3. `*` at either end of a
//! pattern stands for anything.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Why a function is past by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// KASAN, KMSAN, KCSAN, KFENCE, UBSAN and the compiler's calls into them.
    Sanitizer,
    /// Prints a report, or dies.
    Reporting,
    /// Entered by hardware: exceptions and the code around their handlers.
    Trap,
    /// Copies, compares, fills, formats what others point at.
    Memory,
    /// Takes or gives back locks, and checks them.
    Locking,
    /// Links lists, trees, arrays, queues.
    Container,
    /// Counts references.
    Counting,
    /// Gives out or takes back memory.
    Allocation,
    /// Tracks the life of timers and other objects.
    DebugObjects,
    /// Wakes others, waits for their word.
    Waking,
    /// Queues, cancels, flushes work; starts and stops threads.
    Work,
    /// The services of other subsystems, used as told: driver core, sysfs, USB requests, crypto, sockets, page cache.
    Service,
    /// Gives pages and buffers back, where it is noticed that they were damaged before.
    Freeing,
    /// Drops a reference to an inode or dentry, under whatever lock its caller chose.
    Dropping,
    /// Sleeps until something happens.
    Waiting,
    /// Makes other CPUs do something and waits for them.
    CrossCpu,
    /// Interrupts that only came by, among them the watchdog that noticed.
    Interrupt,
    /// Accessors of bits, words, per-CPU data, ports.
    Primitive,
}

/// Helpers of every failure.
#[rustfmt::skip] // Data: one name a line would be a thousand lines.
const HELPERS: &[(Reason, &[&str])] = &[
    (
        Reason::Sanitizer,
        &[
            // mm/kasan, mm/kmsan, kernel/kcsan, mm/kfence, lib/ubsan.c, and what the compiler calls.
            "*kasan*", "__asan*", "*kmsan*", "__msan*", "msan_*", "*kcsan*", "__tsan*", "*kfence*", "__ubsan*", "ubsan*", "__hwasan*",
            "__sanitizer*", "check_memory_region*", "memory_is_*", "print_address_description*", "print_shadow_*",
            "val_to_string*", "handle_overflow", "describe_object*", "object_err", "slab_err", "print_trailer",
            "check_bytes_and_report", "check_object", "instrument_*", "set_access_info", "__ubsan_handle*",
            "describe_addr*", "print_report", "print_error_description", "__cfi_check*", "handle_cfi_*",
            "report_cfi_*", "__fortify_*", "fortify_panic", "stack_depot_*", "save_stack*", "set_track*", "save_track",
            "stack_trace_*", "arch_stack_walk*",
        ],
    ),
    (
        Reason::Reporting,
        &[
            // lib/dump_stack.c, kernel/panic.c, lib/bug.c, arch/*/kernel/{traps,dumpstack}.c, arch/*/mm/fault.c.
            "dump_stack*", "__dump_stack*", "show_stack*", "show_trace*", "show_regs*", "show_registers", "__show_regs*",
            "dump_backtrace*", "show_backtrace*", "unwind_backtrace", "walk_stackframe*", "panic*", "vpanic", "nmi_panic*", "unknown_nmi_error*", "default_do_nmi", "do_nmi", "exc_nmi", "asm_exc_nmi", "end_repeat_nmi",
            "check_panic_on_warn", "__warn", "__warn_printk", "warn_slowpath*", "warn_printk", "warn_bogus*",
            "report_bug*", "__report_bug", "fixup_bug*", "handle_bug*", "bug_handler", "reserved_bug*", "is_valid_bugaddr",
            "die", "__die*", "die_addr", "ex_handler_*", "watchdog_overflow_callback", "nvhe_hyp_panic_handler", "assfail*", "asswarn", "assertfail*", "btrfs_assertfail*", "gfs2_assert_*", "gfs2_consist*", "die_kernel_fault", "die_body", "oops_*", "oops_end", "oops_begin", "bust_spinlocks",
            "arm64_notify_die*", "notify_die", "no_context", "page_fault_oops",
            "kernelmode_fixup_or_oops", "__do_kernel_fault", "do_bad_area", "__do_user_fault", "bad_page*", "print_bad_page*", "dump_page*",
            "__dump_page*", "free_page_is_bad*", "free_pages_check*", "check_free_page*", "check_new_page*", "check_new_pages*",
            "print_bad_pte*", "__print_bad_page_map*", "print_usage_bug*", "print_circular_bug*", "print_irq_inversion_bug*",
            "print_deadlock_bug*", "print_bad_irq_dependency*", "print_*_bug", "usercopy_abort",
            "usercopy_warn", "copy_overflow", "__copy_overflow", "check_copy_size", "__bad_copy*", "report_usercopy", "__check_object_size*", "__check_heap_object", "check_heap_object*",
            "check_stack_object", "check_kernel_text_object", "check_bogus_address", "handle_stack_overflow",
            "handle_bad_stack", "kernel_stack_overflow", "__bad_stack", "bad_stack", "panic_bad_stack", "__stack_chk_fail", "print_hex_dump*",
            "sysdump_*", "debug_print_object", "spin_dump", "spin_bug", "rwlock_bug*", "do_oops*", "_exception*",
            "exception_common", "ist_*", "math_error", "__schedule_bug", "___might_sleep", "__might_sleep", "__might_resched", "__cant_sleep*", "__cant_migrate*",
            "__might_fault", "might_fault", "might_sleep*", "check_preemption_disabled", "debug_smp_processor_id",
            "__this_cpu_preempt_check", "lockdep_rcu_suspicious", "rcu_read_lock_sched_held", "warn_alloc*", "dump_header",
            "out_of_memory", "oom_kill_process", "printk*", "vprintk*", "dev_vprintk*", "va_format", "printk_emit", "_printk*", "__printk*", "console_unlock", "dev_printk*",
            "__dev_printk*", "_dev_*", "netdev_printk", "__netdev_printk", "netdev_err", "netdev_warn", "netdev_info",
            "netdev_rx_csum_fault", "kmemleak_*", "create_object", "__create_object", "delete_object*", "exc_fault_*",
            "rust_panic*", "*rust_begin_unwind*", "rust_helper_BUG", "core::*", "<core::*", "__rustc::*", "rust_fmt_argument", "print_tainted*", "print_taint*", "get_taint", "hlock_class", "printk_*", "__printk_safe_*",
        ],
    ),
    (
        Reason::Trap,
        &[
            // arch/x86/{entry,kernel/traps.c,mm/fault.c}, arch/arm64/{kernel/entry*,mm/fault.c,kernel/traps.c}, arm, riscv, ...
            "bad_area*", "__bad_area*", "asm_exc_*", "exc_*", "do_trap*", "do_error_trap*", "do_invalid_op", "invalid_op", "general_protection",
            "do_general_protection", "page_fault", "async_page_fault", "do_async_page_fault", "trace_page_fault", "do_page_fault",
            "__do_page_fault", "trace_do_page_fault", "do_user_addr_fault", "do_kern_addr_fault", "spurious_*_fault", "error_entry", "error_code",
            "common_exception*", "double_fault", "do_double_fault", "divide_error", "do_divide_error", "do_int3", "int3", "stack_segment",
            "do_stack_segment", "do_coprocessor_error", "bad_mode", "bad_el0_sync", "__bad_mode", "arm64_serror_panic",
            "do_serror", "do_mem_abort", "do_translation_fault", "do_sea", "do_bad", "do_alignment_fault", "do_debug_exception",
            "brk_handler", "do_el1_brk64", "call_break_hook", "do_undefinstr", "do_el1_undef", "call_undef_hook", "do_sp_pc_abort", "do_tag_check_fault", "do_tag_recovery", "do_page_fault_*",
            "el1_*", "el1h_*", "el1t_*", "el0_sync*", "el0_irq*", "el0_error*", "el0_da", "el0_ia", "el0_dbg", "el0t_*", "vectors",
            "ret_from_exception", "handle_exception", "do_trap_*", "__dabt_svc", "__dabt_usr", "__pabt_svc", "__und_svc", "__und_invalid", "do_DataAbort", "do_PrefetchAbort",
            "do_kernel_fault", "__do_fault_siginfo", "handle_page_fault*", "vmalloc_fault", "do_sparc64_fault", "hash_page*",
            "data_access_*", "bad_page_fault", "program_check_*", "do_program_check", "do_break*", "interrupt_return*", "do_bp", "handle_*_int", "pgm_check_handler", "__do_pgm_check", "do_dat_exception", "do_protection_exception",
            "fault_in_kernel_space", "restore_regs_and_return_to_kernel", "restore_all*", "ret_from_intr", "retint_kernel", "die_if_kernel",
            "__x86_indirect_thunk*", "__x86_return_thunk", "__indirect_thunk*", "__llvm_retpoline*", "entry_INT80*",
        ],
    ),
    (
        Reason::Memory,
        &[
            // arch/*/lib, lib/{string,usercopy,iov_iter,vsprintf}.c, mm/maccess.c.
            "memcpy*", "__memcpy*", "__pi_memcpy*", "memmove*", "__memmove*", "__pi_memmove", "memset*", "__memset*", "__pi_memset", "memcmp*",
            "__memcmp", "__pi_memcmp", "memchr*", "__memchr", "memscan", "memzero_explicit", "memdup_user*", "vmemdup_user", "strndup_user", "memory_bcmp", "bcmp",
            "strlen", "__pi_strlen", "strnlen", "__strnlen*", "strlcpy", "strlcat", "strcpy", "strncpy", "strscpy*", "sized_strscpy", "strcmp", "__pi_strcmp", "strncmp",
            "strcasecmp", "strncasecmp", "strchr", "strnchr", "strrchr", "strstr", "strnstr", "strcspn", "strspn", "strsep", "strcat", "strncat",
            "string_nocheck", "string", "pointer", "number", "format_decode", "vsnprintf", "vscnprintf", "snprintf", "scnprintf", "vsprintf",
            "sprintf", "kasprintf*", "kvasprintf*", "nla_strlcpy", "nla_strscpy", "nla_memcpy", "nla_strdup", "seq_printf", "seq_vprintf", "seq_puts", "seq_write", "seq_read_iter", "seq_read",
            "copy_to_user*", "copy_from_user*", "_copy_to_user*", "_copy_from_user*", "__copy_to_user*", "__copy_from_user*",
            "__arch_copy_*", "arm_copy_*", "raw_copy_*", "__raw_copy_*", "copy_user_*", "__copy_user*", "rep_movs*", "rep_stos*", "copyin", "copyout", "copyout_*",
            "copy_user_generic*", "copy_mc_*", "clear_user*", "__clear_user", "__get_user*", "__put_user*", "get_user", "put_user",
            "strncpy_from_user", "do_strncpy_from_user", "strnlen_user", "do_strnlen_user", "probe_kernel_read*", "probe_kernel_write*", "copy_from_kernel_nofault", "copy_to_kernel_nofault",
            "__probe_kernel_read", "_copy_to_iter", "_copy_from_iter*", "copy_page_to_iter*", "copy_page_from_iter*", "copy_to_iter*", "copy_from_iter*", "copy_folio_*", "__copy_to_iter",
            "copyin_nofault", "memcpy_to_iter*", "memcpy_from_iter*", "csum_partial*", "do_csum*", "csum_and_copy*", "__csum_partial*", "crc32_*", "crc32c*", "read_word_at_a_time", "__read_once*",
            "__write_once*", "__read_once_size*", "user_access_*", "check_zeroed_user", "fault_in_*", "unsafe_copy*", "copy_page*", "load_unaligned_zeropad", "skb_copy_to_page_nocache", "simple_copy_to_iter", "__skb_datagram_iter", "skb_copy_datagram_iter", "__copy_skb_header", "memcpy_toio", "memcpy_fromio", "__inl*", "__memcpy_toio", "__memcpy_fromio",
        ],
    ),
    (
        Reason::Locking,
        &[
            // kernel/locking, include/linux/{spinlock,rwlock,seqlock,mutex}.h, lib/lockref.c.
            "lock_acquire*", "lock_release*", "__lock_acquire*", "__lock_release*", "lock_set_class", "__lock_set_class", "lock_downgrade", "lock_pin_lock", "lock_contended", "lock_acquired",
            "lock_is_held*", "__lock_is_held*", "lockdep_*", "__lockdep_*", "lock_sync", "lock_torture*", "register_lock_class", "reacquire_held_locks", "look_up_lock_class", "assign_lock_key", "is_dynamic_key",
            "check_prev_add*", "check_prevs_add*", "validate_chain*", "check_noncircular", "check_irq_usage*", "check_deadlock", "mark_lock*", "mark_held_locks", "mark_usage", "valid_state", "debug_check_no_locks_*",
            "debug_locks_off*", "check_usage*", "add_chain_cache*", "add_lock_to_list", "save_trace", "find_usage*", "check_path*", "__bfs*", "trace_hardirqs_*", "trace_softirqs_*", "check_wait_context", "__print_lock_name", "print_lock*",
            "_raw_spin_*", "_raw_read_*", "_raw_write_*", "__raw_spin_*", "__raw_read_*", "__raw_write_*", "raw_spin_*", "spin_lock*", "spin_unlock*", "spin_trylock*", "__spin_lock*", "_spin_lock*", "_spin_unlock*",
            "do_raw_spin_*", "do_raw_read_*", "do_raw_write_*", "rt_spin_*", "rt_read_*", "rt_write_*", "queued_spin_lock*", "native_queued_spin_*", "pv_queued_spin_*", "__pv_queued_spin_*", "pv_wait*", "__pv_kick*", "kvm_wait", "kvm_lock_spinning", "queued_read_lock*", "queued_write_lock*", "virt_spin_lock", "arch_spin_*", "ticket_spin_*", "debug_spin_*", "read_lock*", "write_lock*", "read_unlock*", "write_unlock*", "read_seqbegin*", "read_seqcount*", "seqcount_*", "do_read_seqcount*", "seqprop_*", "__seqprop_*", "console_lock", "console_trylock*", "__down_trylock_console_sem*",
            "mutex_*", "__mutex_*", "_mutex_*", "atomic_dec_and_mutex_lock", "ww_mutex_*", "__ww_mutex*", "rt_mutex*", "__rt_mutex*", "rtmutex_*", "__rwbase_*", "rwbase_*", "debug_mutex_*", "debug_rt_mutex*",
            "down", "__down", "__down_*", "down_*", "up", "__up", "up_*", "rwsem_*", "__rwsem_*", "call_rwsem_*", "percpu_down_*", "__percpu_down_*", "percpu_up_*", "percpu_rwsem*", "percpu_is_*", "osq_lock", "osq_unlock", "osq_wait*", "lockref_*",
            "_atomic_dec_and_lock*", "atomic_dec_and_lock*", "refcount_dec_and_lock*", "refcount_dec_and_mutex_lock*", "local_lock*", "local_bh_enable*", "local_bh_disable*", "__local_bh_*", "bit_spin_*", "hlist_bl_lock*", "rcu_read_lock*", "rcu_read_unlock*", "rcu_lock_*", "__rcu_read_*", "rcu_is_watching", "rcu_lockdep_*", "find_held_lock", "srcu_lock_*", "srcu_read_*", "__srcu_read_*", "lock_sock_fast*", "class_*_constructor", "class_*_destructor", "preempt_count_*", "preempt_schedule*",
            "__preempt_*", "trace_preempt_*", "local_irq_*", "arch_local_irq_*", "native_irq_*",
        ],
    ),
    (
        Reason::Container,
        &[
            // include/linux/{list,rculist}.h, lib/{list_debug,rbtree,klist,plist,idr}.c.
            "list_*", "__list_*", "hlist_*", "__hlist_*", "rb_insert_color*", "rb_erase*", "__rb_*", "rb_next", "rb_prev", "rb_first", "klist_*", "plist_*", "llist_*", "skb_queue_*", "__skb_queue_*", "skb_unlink",
            "__skb_unlink", "skb_dequeue*", "__skb_dequeue*", "skb_peek*", "__skb_insert", "rht_*", "rhashtable_remove*",
        ],
    ),
    (
        Reason::Counting,
        &[
            // lib/{refcount,ref_tracker,kobject,percpu-refcount}.c, include/linux/{kref,refcount,atomic}.h.
            "refcount_*", "__refcount_*", "kref_*", "get_device", "put_device", "ref_tracker_*", "percpu_ref_get*", "percpu_ref_put*", "percpu_ref_tryget*", "atomic_*", "atomic64_*", "arch_atomic*",
            "raw_atomic*", "__atomic_*", "atomic_long_*", "static_obj", "get_net*", "put_net*", "rcuref_*", "dst_hold*", "sock_hold", "dev_hold", "dev_put", "in_dev_hold", "in6_dev_hold", "netdev_hold", "netdev_put", "netdev_tracker_*", "__netdev_tracker_*",
        ],
    ),
    (
        Reason::Allocation,
        &[
            // mm/{slab*,page_alloc,vmalloc,percpu,mempolicy,util,dmapool,mempool}.c, lib/kstrtox.c's neighbours.
            "kmalloc*", "__kmalloc*", "__do_kmalloc*", "kzalloc*", "kcalloc*", "kvmalloc*", "__kvmalloc*", "kvzalloc*", "kvcalloc*", "krealloc*", "__do_krealloc", "kvrealloc*", "kmemdup*", "kstrdup*", "kstrndup*", "kvmemdup*", "kmem_cache_*", "__kmem_cache_*", "kmalloc_slab", "kmalloc_array*",
            "kfree", "__kfree", "kfree_sensitive", "kzfree", "kvfree*", "vfree*", "__vfree*", "vfree_atomic", "__vunmap", "vunmap*", "vmalloc*", "__vmalloc*", "vzalloc*", "remove_vm_area", "free_vmap_area*", "alloc_vmap_area*", "__get_vm_area*", "vm_area_alloc_*",
            "slab_*", "__slab_*", "___slab_*", "slab_alloc*", "slab_free*", "do_slab_free*", "slab_post_alloc*", "slab_free_freelist_hook*", "__cache_*", "cache_*_array", "cache_alloc*", "cache_free*", "cache_grow*", "cache_reap*", "allocate_slab*", "new_slab*", "get_partial*", "get_from_partial*", "__unfreeze_partials*", "put_cpu_partial", "discard_slab*", "free_slab*", "__free_slab*", "deactivate_slab*", "free_to_partial*", "alloc_debug_processing", "free_debug_processing*", "on_freelist", "free_consistency_checks", "alloc_consistency_checks", "qlink_free*", "qlist_free*", "setup_object*", "init_object", "memcg_slab_*", "drain_obj_stock*", "refill_obj_stock", "obj_cgroup_charge*", "memcg_charge_slab", "should_failslab", "__should_failslab", "should_fail*", "fail_dump", "alloc_from_pcs*", "free_to_pcs*", "__pcs_replace*", "refill_sheaf*", "free_deferred_objects",
            "alloc_pages*", "__alloc_pages*", "__alloc_frozen_*", "alloc_frozen_*", "__alloc_and_*", "alloc_page*", "get_page_from_freelist*", "__get_free_page*", "get_free_pages*", "get_zeroed_page*", "prep_new_page*", "post_alloc_hook*", "set_page_owner*", "__set_page_owner*", "reset_page_owner*", "__reset_page_owner*", "prep_compound_*", "rmqueue*", "__rmqueue*", "free_page*", "__free_page*", "free_frozen_*", "__free_frozen_*", "free_pages*", "__free_pages*", "free_unref_*", "free_the_page", "free_pcppages_bulk", "free_hot_cold_page*", "free_one_page", "free_large_kmalloc*", "__folio_alloc*", "folio_alloc*", "vma_alloc_folio*", "__page_cache_alloc", "page_pool_alloc*", "__page_pool_alloc*", "page_pool_dev_alloc*", "__put_page*", "__put_single_page", "__put_compound_page", "put_page*", "release_pages", "folio_batch_*", "__folio_put*", "__folio_batch_release", "__pagevec_release", "page_frag_*", "__page_frag_*", "memdup_*", "mempool_*", "__mempool_*", "dma_pool_*", "devm_kmalloc*", "devm_kzalloc*", "devm_kcalloc*", "devm_kmemdup*", "devres_alloc*", "pcpu_alloc*", "__alloc_percpu*", "alloc_percpu*", "free_percpu*", "alloc_skb_with_frags", "__alloc_skb", "alloc_skb*", "__netdev_alloc_skb*", "__napi_alloc_skb*", "netlink_alloc_large_skb", "kmem_*", "getname_kernel", "memblock_*", "slob_*", "zs_malloc", "kmalloc_large*", "___kmalloc_large*", "vrealloc*", "alloc_inode_sb", "alloc_inode", "percpu_counter_*", "__percpu_counter_*", "__build_skb*", "build_skb*", "alloc_bulk", "rcu_free_slab", "free_large_kmalloc", "__memcg_slab*", "memcg_alloc_*", "check_slab_allocation", "kmalloc_fix_flags",
        ],
    ),
    (
        Reason::DebugObjects,
        &[
            // lib/debugobjects.c, and timers and work items, whose state their owners answer for.
            "debug_object*", "__debug_object*", "debug_check_no_obj_freed", "__debug_check_no_obj_freed", "debug_hrtimer_*", "debug_timer_*", "debug_work_*", "debug_rcu_head_*", "debug_assert_*", "debug_activate", "debug_deactivate",
            "timer_is_static_object", "work_is_static_object", "hrtimer_is_static_object", "lookup_object_or_alloc", "del_timer*", "try_to_del_timer*", "__try_to_del_timer*", "timer_delete*", "__timer_delete*", "timer_shutdown*", "add_timer*", "mod_timer*", "__mod_timer", "timer_reduce", "init_timer_key",
            "do_init_timer", "__init_work", "__init_timer", "hrtimer_cancel", "hrtimer_try_to_cancel", "hrtimer_init", "hrtimer_start_range_ns", "__hrtimer_start*", "__call_rcu*", "call_rcu*", "kvfree_call_rcu", "kfree_call_rcu*", "tasklet_kill", "init_completion", "lock_timer_base*", "sk_stop_timer*", "sk_reset_timer",
        ],
    ),
    (
        Reason::Waking,
        &[
            // kernel/sched/{completion,wait,swait}.c.
            "complete", "complete_all", "complete_with_flags", "__wake_up*", "wake_up_bit", "wake_up_process", "wake_up_q", "swake_up*", "autoremove_wake_function", "default_wake_function", "wait_for_completion*", "wait_for_common*", "__wait_for_common*", "do_wait_for_common*",
            "prepare_to_wait*", "finish_wait", "init_wait_entry", "pollwake", "__pollwait", "rcuwait_*", "wait_woken",
        ],
    ),
    (
        Reason::Work,
        &[
            // kernel/{workqueue,kthread}.c, kernel/rcu/srcutree.c.
            "queue_work*", "__queue_work", "queue_delayed_work*", "__queue_delayed_work", "mod_delayed_work*", "cancel_work*", "__cancel_work*", "cancel_delayed_work*", "flush_work", "__flush_work*", "flush_delayed_work", "try_to_grab_pending*", "work_grab_pending*", "start_flush_work",
            "flush_workqueue", "__flush_workqueue", "drain_workqueue", "destroy_workqueue", "insert_work", "get_work_pool", "schedule_work*", "schedule_delayed_work*", "kthread_queue_work", "kthread_flush_work*", "kthread_stop*", "kthread_create_*", "__kthread_create_*", "kthread_park", "kthread_unpark",
            "cleanup_srcu_struct*", "init_srcu_struct*", "irq_work_*", "task_work_add", "call_srcu", "__call_srcu",
        ],
    ),
    (
        Reason::Service,
        &[
            // drivers/base, lib/kobject*.c, fs/{sysfs,proc/generic.c,debugfs}.
            "kobject_*", "__kobject_*", "kobj_*", "sysfs_*", "__sysfs_*", "internal_create_group*", "create_files", "remove_files*", "device_add*", "device_del", "device_register", "device_unregister", "device_create*", "device_destroy", "device_remove_*", "device_pm_*", "dpm_sysfs_*", "get_device_parent*", "add_uevent_var*", "device_initialize",
            "proc_register", "proc_create*", "_proc_mkdir", "proc_mkdir*", "proc_symlink", "debugfs_create_*", "__debugfs_create_*", "cdev_device_*", "driver_sysfs_*", "bus_add_device", "bus_remove_device",
            // Registration with a bus or class that is nothing but the driver core beneath.
            "i2c_add_adapter", "i2c_add_numbered_adapter", "i2c_register_adapter", "i2c_del_adapter", "platform_device_add*", "platform_device_del", "platform_device_register*", "platform_device_unregister",
            // drivers/usb/core: requests.
            "usb_submit_urb", "usb_hcd_submit_urb", "usb_hcd_map_urb_for_dma", "usb_control_msg*", "usb_internal_control_msg", "usb_bulk_msg*", "usb_interrupt_msg*", "usb_start_wait_urb", "usb_kill_urb*", "usb_kill_anchored_urbs*", "usb_unlink_urb", "usb_free_urb", "usb_alloc_urb",
            // crypto, lib/crypto, lib/crc*, lib/hexdump.c.
            "crypto_*", "__crypto_*", "aes_*", "aesti_*", "cipher_crypt_*", "skcipher_*", "simd_skcipher_*", "drbg_*", "rng_setkey", "sha1_*", "sha256_*", "__sha256_*", "chacha_*", "poly1305_*", "xts_encrypt*", "xts_decrypt*", "blake2s*", "crc16*", "crc32*", "crc_*", "crc_itu_t*", "__crc32*", "jhash*", "siphash*", "xxh32*", "xxh64*", "hex_dump_*", "hex_string", "hex_byte_pack*", "bin2hex", "print_hex_dump*", "zlib_*", "lzo1x_*", "LZ4_*",
            // net/core: buffers and sockets.
            "skb_put*", "skb_push", "skb_pull*", "__skb_pull", "skb_panic", "skb_over_panic", "skb_under_panic", "skb_trim", "pskb_expand_head", "kfree_skb*", "__kfree_skb*", "consume_skb", "sk_skb_reason_drop", "skb_release_head_state", "skb_clone", "skb_copy", "skb_realloc_headroom", "lock_sock*", "release_sock", "__release_sock", "sock_kmalloc", "sock_kfree_s", "sock_put", "sk_free", "__sk_free", "sk_destruct", "__sk_destruct", "rollback_registered*", "unregister_netdevice_*", "unregister_netdev", "nla_put*", "__nla_*", "nla_parse*", "nla_reserve*",
            // mm/filemap.c, include/linux/pagemap.h: locks and flags of pages.
            "folio_unlock", "folio_lock", "__folio_lock*", "unlock_page", "lock_page*", "__lock_page*", "_compound_head", "compound_head", "folio_end_*", "folio_wait_*", "folio_mark_*", "folio_get*", "folio_put*", "filemap_get_folio*", "__filemap_get_folio*", "filemap_add_folio*", "pagecache_get_page", "page_folio", "page_ref_*", "folio_test_*", "folio_flags*", "page_zonenum",
            // lib/rhashtable.c, arch/*/mm/physaddr.c.
            "rhashtable_lookup*", "__rhashtable_lookup*", "rhashtable_insert*", "__rhashtable_insert*", "__phys_addr*", "__virt_addr_valid*", "__virt_to_phys*", "virt_to_phys", "vmalloc_to_page*", "iov_iter_revert",
            // kernel/dma, arch I/O accessors.
            "dma_map_*", "__dma_map_*", "dma_unmap_*", "dma_alloc_*", "dma_free_*", "debug_dma_*", "check_unmap", "check_sync", "add_dma_entry", "check_for_stack*", "ioremap*", "__ioremap*", "iounmap",
        ],
    ),
    (
        Reason::Freeing,
        &[
            "skb_free_head*", "skb_free_frag", "skb_release_*", "__skb_frag_*", "folios_put*", "folio_batch_*", "folio_add_lru*", "lru_*", "__pagevec_*", "pagevec_*", "truncate_inode_pages*", "invalidate_mapping*", "do_read_cache_*", "read_cache_*", "read_mapping_*", "filemap_*", "add_to_page_cache*", "free_swap_cache", "tlb_*", "__tlb_*", "zap_*", "unmap_*", "netif_receive_skb*", "__netif_receive_skb*", "exit_mmap*", "mmput*", "__mmput*", "exit_mm*", "__mmdrop*", "free_pgtables*", "free_pgd_range*", "page_frag_free*",
        ],
    ),
    (
        Reason::Dropping,
        &["iput", "iput_final", "__iput", "dput", "__dput", "fast_dput", "dput_to_list", "path_put", "evict_inode_*"],
    ),
    (
        Reason::Waiting,
        &[
            // kernel/sched/{core,wait,completion,swait}.c, kernel/time/sleep_timeout.c.
            "schedule", "__schedule*", "schedule_*", "io_schedule*", "preempt_schedule*", "_cond_resched", "__cond_resched*", "cond_resched*", "dynamic_cond_resched", "context_switch", "__switch_to*", "wait_on_bit*", "__wait_on_bit*", "out_of_line_wait_*", "bit_wait*", "msleep*", "usleep_range*", "ssleep", "fsleep", "finish_task_switch*",
        ],
    ),
    (
        Reason::CrossCpu,
        &[
            // kernel/{smp,stop_machine}.c, arch/x86/kernel/{alternative,jump_label}.c, kernel/jump_label.c.
            "smp_call_function*", "__smp_call_*", "on_each_cpu*", "generic_exec_single", "csd_lock*", "__csd_lock*", "flush_smp_call*", "__flush_smp_call*", "smp_call_on_cpu", "stop_one_cpu*", "stop_machine*", "stop_cpus*", "__stop_cpus",
        ],
    ),
    (
        Reason::Primitive,
        &[
            "find_next_*", "_find_next_*", "__find_next_*", "find_first_*", "_find_first_*", "find_last_bit", "_find_last_bit", "test_bit", "test_and_*", "__test_and_*", "set_bit", "clear_bit", "clear_bit_unlock", "change_bit", "__set_bit", "__clear_bit", "variable_test_bit", "constant_test_bit",
            "constant_*", "arch_test_bit", "arch_set_bit", "arch_clear_bit*", "bitmap_*", "__bitmap_*", "__xchg*", "cmpxchg*", "arch_cmpxchg*", "static_key_count", "ida_*", "this_cpu_*", "__this_cpu_*", "__preempt_count_*", "rcu_dereference*",
            "__rcu_dereference*", "ktime_get*", "sched_clock*", "local_clock*", "perf_trace_*", "trace_event_*", "__traceiter_*", "ftrace_*", "kthread_should_stop", "get_current", "current_*", "cpu_relax", "rep_nop", "_stext", "_text", "stext", "_etext", "_sinittext", "delay_*", "__delay", "__const_udelay", "__udelay", "udelay", "ndelay", "__ndelay",
        ],
    ),
];

/// Helpers of a stall: the interrupt that noticed it, and the way to its report.
#[rustfmt::skip] // Data: one name a line would be a thousand lines.
const STALL_HELPERS: &[&str] = &[
    "nmi_*", "*_nmi*", "do_nmi", "exc_nmi", "default_do_nmi", "arch_trigger_*", "__trigger_all_*", "trigger_all_cpu_*", "trigger_single_cpu_*", "trigger_cpumask_*", "trigger_allbutself_*", "rcu_dump_*", "print_cpu_stall*", "print_other_cpu_stall*", "check_cpu_stall*", "rcu_check_gp_*", "rcu_pending*", "rcu_sched_clock_irq*",
    "rcu_check_callbacks*", "update_process_times", "tick_*", "__tick_*", "hrtimer_interrupt", "__hrtimer_run_queues", "hrtimer_run_queues", "__run_hrtimer*", "watchdog_*", "is_softlockup", "softlockup_*", "smp_apic_timer_interrupt", "apic_timer_interrupt", "*sysvec_*", "asm_sysvec_*", "asm_call_*", "asm_common_interrupt",
    "local_apic_timer_interrupt", "__sysvec_*", "instr_sysvec_*", "smp_call_function_interrupt", "call_function_single_interrupt", "call_function_interrupt", "reschedule_interrupt", "irq_exit*", "__irq_exit*", "irq_enter*", "irqentry_*", "handle_irq*", "handle_domain_irq", "__handle_domain_irq",
    "generic_handle_*", "handle_percpu_devid_irq", "handle_fasteoi*", "handle_edge_irq", "arch_timer_*", "gic_*", "do_interrupt_handler", "call_on_irq_stack", "call_on_stack", "el1_irq", "el1_interrupt", "do_IRQ", "common_interrupt*", "__common_interrupt", "ret_from_intr", "sched_show_task*", "show_state_filter", "dump_cpu_task", "single_handle_*", "__do_softirq_own_stack", "riscv_timer_interrupt", "riscv_intc_irq", "do_irq", "timer_interrupt", "decrementer_*", "kvm_guest_apic_*", "lapic_next_*", "clockevents_*", "run_local_timers", "account_*", "_sched_show_task*", "__sched_show_task*", "print_cpu_stall*", "print_other_cpu_stall*", "print_stall*", "rcu_print_*", "rcu_stall_*", "rcu_cpu_stall*", "rcu_check_stall*", "synchronize_rcu_expedited_*", "irq_work_*", "arch_irq_work_*", "invoke_softirq", "raise_softirq*", "smp_apic_timer_interrupt*", "smp_reschedule_interrupt*", "smp_call_function_interrupt*", "smp_irq_work_interrupt*", "trace_apic_*", "smp_trace_*", "__irq_svc", "__irq_usr", "retint_*", "restore_*", "ret_from_exception", "handle_exception", "call_irq_handler", "handle_riscv_irq",
];

/// What may stand under a call that never returns: who sleeps or waits here does so for somebody else.
#[rustfmt::skip] // Data: one name a line would be a thousand lines.
const HANG_HELPERS: &[&str] = &[
    "*sched*", "*_lock", "*_lock_*", "*_slowlock*", "*down_*", "*_down", "*rwsem*", "*completion*", "*kthread*", "*wait*", "*synchronize*", "context_switch", "__switch_to*", "*cancel_work*", "*cancel_delayed_work*", "*rcu_barrier*", "*flush_work*", "down", "__down", "usb_control_msg*", "usb_bulk_msg*", "usb_start_wait_urb", "usb_internal_control_msg", "ret_from_*", "*_timeout", "*_nested", "*_killable", "*_interruptible*", "__lock_*", "*lock_sock*", "drain_workqueue", "*folio_lock*", "*lock_page*", "*lock_buffer*", "bit_*", "squash_*",
];

/// A system call's way in.
#[rustfmt::skip] // Data: one name a line would be a thousand lines.
const ENTRIES: &[&str] = &[
    "do_syscall_*", "__do_syscall*", "do_fast_syscall_*", "do_int80_syscall*", "__do_fast_syscall*", "entry_SYSCALL*", "entry_SYSENTER*", "entry_INT80*", "system_call_fastpath", "tracesys*", "sysenter_*", "ia32_*", "cstar_*", "el0_svc*", "invoke_syscall", "__invoke_syscall", "ret_fast_syscall", "ret_to_user*", "stub_*", "__sys_trace_return", "syscall_trace_*", "system_call*", "x64_sys_call", "ia32_sys_call",
];

/// Where work of another kind begins: below such a frame stands the function whose work it was.
#[rustfmt::skip] // Data: one name a line would be a thousand lines.
const ANCHORS: &[&str] = &[
    // Generic dispatchers of file and socket operations, which say less than who they call.
    "vfs_read", "vfs_write", "__vfs_read", "__vfs_write", "vfs_ioctl", "do_vfs_ioctl", "file_ioctl", "__fput", "____fput", "vfs_open", "do_dentry_open", "vfs_fsync*", "new_sync_*", "call_write_iter", "call_read_iter", "do_iter_*", "vfs_writev", "vfs_readv", "do_readv*", "do_writev*", "mmap_region", "__mmap_region*", "mmap_file", "call_mmap", "vm_mmap_pgoff", "do_mmap*", "__do_fault", "sock_ioctl", "sock_do_ioctl", "sock_common_*", "inet_sendmsg", "inet6_sendmsg", "inet_recvmsg", "inet6_recvmsg", "sock_write_iter", "sock_read_iter", "*_compat_ioctl", "*sys_ioctl", "*SyS_ioctl", "*SYSC_ioctl", "*SyS_read", "*SyS_write", "ksys_ioctl", "*sys_read", "*sys_write", "ksys_read", "ksys_write", "*sys_pread64", "*sys_pwrite64", "*sys_readv", "*sys_writev", "sock_sendmsg*", "__sock_sendmsg*", "sock_recvmsg*", "__sys_sendto", "__sys_setsockopt*", "__sys_getsockopt*", "__sys_bind", "__sys_connect*", "netlink_dump", "genl_lock_dumpit", "genl_family_rcv_msg*", "genl_rcv_msg", "genl_dumpit", "netlink_unicast*", "__netlink_dump_start", "netlink_rcv_skb", "nfnetlink_rcv_*", "rtnetlink_rcv*",
    // Receiving packets, soft interrupts, timers.
    "*netif_receive_skb*", "__do_softirq", "do_softirq*", "call_timer_fn", "__run_timers*", "run_timer_*", "hrtimer_run_*", "run_ksoftirqd", "handle_softirqs", "net_rx_action", "__napi_poll*", "napi_poll",
    // Kernel threads and the machine's beginning.
    "process_one_work", "process_scheduled_works", "worker_thread", "smpboot_thread_fn", "kthread", "start_secondary", "secondary_*", "cpu_startup_entry", "cpu_idle_loop", "ret_from_fork*", "do_one_initcall", "kernel_init*", "start_kernel", "rest_init", "smp_call_function*", "__flush_smp_call_function_queue", "flush_smp_call_function_queue", "__sysvec_call_function*", "sysvec_call_function*",
];

/// Patterns, compiled.
struct Patterns {
    exact: HashMap<&'static str, Reason>,
    prefixes: Vec<(&'static str, Reason)>,
    suffixes: Vec<(&'static str, Reason)>,
    infixes: Vec<(&'static str, Reason)>,
    /// `a*b`.
    around: Vec<(&'static str, &'static str, Reason)>,
}

impl Patterns {
    fn new(lists: &[(Reason, &[&'static str])]) -> Patterns {
        let mut patterns = Patterns {
            exact: HashMap::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            infixes: Vec::new(),
            around: Vec::new(),
        };
        for (reason, list) in lists {
            for pattern in *list {
                patterns.add(pattern, *reason);
            }
        }
        patterns.prefixes.sort_unstable();
        patterns
    }

    fn add(&mut self, pattern: &'static str, reason: Reason) {
        match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(rest), Some(_)) => self.infixes.push((rest.trim_end_matches('*'), reason)),
            (Some(suffix), None) => self.suffixes.push((suffix, reason)),
            (None, Some(prefix)) => self.prefixes.push((prefix, reason)),
            (None, None) => match pattern.split_once('*') {
                Some((before, after)) => self.around.push((before, after, reason)),
                None => {
                    self.exact.insert(pattern, reason);
                }
            },
        }
    }

    fn reason(&self, function: &str) -> Option<Reason> {
        if let Some(reason) = self.exact.get(function) {
            return Some(*reason);
        }
        // Sorted prefixes: one that matches sorts before the name, and shares its first byte.
        let first = function.as_bytes().first()?;
        let end = self.prefixes.partition_point(|(prefix, _)| *prefix <= function);
        let hit = self.prefixes[..end]
            .iter()
            .rev()
            .take_while(|(prefix, _)| prefix.as_bytes().first() == Some(first))
            .find(|(prefix, _)| function.starts_with(prefix));
        if let Some((_, reason)) = hit {
            return Some(*reason);
        }
        let around = |(before, after, _): &&(&str, &str, Reason)| {
            function.len() >= before.len() + after.len()
                && function.starts_with(before)
                && function.ends_with(after)
        };
        self.suffixes
            .iter()
            .find(|(suffix, _)| function.ends_with(suffix))
            .or_else(|| self.infixes.iter().find(|(infix, _)| function.contains(infix)))
            .map(|(_, reason)| *reason)
            .or_else(|| self.around.iter().find(around).map(|(_, _, reason)| *reason))
    }
}

fn compiled(cell: &'static OnceLock<Patterns>, lists: &[(Reason, &[&'static str])]) -> &'static Patterns {
    cell.get_or_init(|| Patterns::new(lists))
}

/// Why a function is a helper; `None` when it answers for itself.
pub fn reason(function: &str) -> Option<Reason> {
    static ALL: OnceLock<Patterns> = OnceLock::new();
    compiled(&ALL, HELPERS).reason(function)
}

/// Whether a frame of a stalled CPU belongs to the interrupt that noticed.
pub fn is_stall_helper(function: &str) -> bool {
    static STALL: OnceLock<Patterns> = OnceLock::new();
    compiled(&STALL, &[(Reason::Interrupt, STALL_HELPERS)]).reason(function).is_some()
}

/// Whether a frame runs timers' callbacks in a hard interrupt (kernel/time/hrtimer.c).
pub fn is_hard_timer(function: &str) -> bool {
    function == "hrtimer_interrupt"
}

/// Whether a frame of a hung task only waits.
pub fn is_hang_helper(function: &str) -> bool {
    static HANG: OnceLock<Patterns> = OnceLock::new();
    compiled(&HANG, &[(Reason::Waiting, HANG_HELPERS)]).reason(function).is_some()
}

/// Whether a frame is a system call's way into the kernel.
pub fn is_entry(function: &str) -> bool {
    static ENTRY: OnceLock<Patterns> = OnceLock::new();
    compiled(&ENTRY, &[(Reason::Trap, ENTRIES)]).reason(function).is_some()
}

/// Whether work of another kind begins at a frame: the one below it is named when the CPU stalls there.
pub fn is_anchor(function: &str) -> bool {
    static ANCHOR: OnceLock<Patterns> = OnceLock::new();
    compiled(&ANCHOR, &[(Reason::Interrupt, ANCHORS), (Reason::Interrupt, ENTRIES)])
        .reason(function)
        .is_some()
}

/// The name without what an architecture or the system call machinery puts in front:
/// `__x64_sys_openat` and `__arm64_sys_openat` are `sys_openat`, `SyS_mount` and `ksys_mount` are `mount`.
pub fn neutral(function: &str) -> &str {
    const PREFIXES: &[&str] = &[
        "__x64_",
        "__ia32_",
        "__arm64_",
        "__riscv_",
        "__s390x_",
        "__s390_",
        "__se_",
        "__do_compat_",
        "SYSC_",
        "SyS_",
        "compat_SYSC_",
        "compat_SyS_",
        "ksys_",
    ];
    let named = |prefix: &&&str| {
        function.strip_prefix(**prefix).is_some_and(|rest| {
            // Only system calls: `__se_` and `__x64_` are put in front of nothing else but `sys_`.
            !rest.is_empty()
                && (!prefix.starts_with("__") || rest.starts_with("sys_") || rest.starts_with("compat_sys_"))
        })
    };
    match PREFIXES.iter().find(named) {
        Some(prefix) => &function[prefix.len()..],
        None => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_and_others() {
        assert_eq!(reason("kasan_report"), Some(Reason::Sanitizer));
        assert_eq!(reason("__asan_report_load8_noabort"), Some(Reason::Sanitizer));
        assert_eq!(reason("_raw_spin_lock_irqsave"), Some(Reason::Locking));
        assert_eq!(reason("mutex_lock_nested"), Some(Reason::Locking));
        assert_eq!(reason("refcount_warn_saturate"), Some(Reason::Counting));
        assert_eq!(reason("asm_exc_int3"), Some(Reason::Trap));
        assert_eq!(reason("print_circular_bug"), Some(Reason::Reporting));
        assert_eq!(reason("class_rwsem_read_constructor"), Some(Reason::Locking));
        for own in [
            "swap_writepage",
            "kpti_install_ng_mappings",
            "ip6_fragment",
            "set_next_entity",
            "timerqueue_del",
            "",
        ] {
            assert_eq!(reason(own), None, "{own}");
        }
    }

    #[test]
    fn patterns_are_well_formed() {
        let mut seen = std::collections::HashSet::new();
        let others = [STALL_HELPERS, HANG_HELPERS, ANCHORS, ENTRIES];
        for list in HELPERS.iter().map(|(_, list)| *list).chain(others) {
            for pattern in list {
                assert!(!pattern.trim_matches('*').is_empty(), "{pattern:?} matches everything");
                let stars = pattern.matches('*').count();
                let ends = usize::from(pattern.starts_with('*')) + usize::from(pattern.ends_with('*'));
                assert!(stars == ends || stars == 1, "{pattern:?} has a star that is not understood");
                seen.insert(*pattern);
            }
        }
        assert!(seen.len() > 500);
    }

    #[test]
    fn system_calls_lose_the_architecture() {
        assert_eq!(neutral("__x64_sys_openat2"), "sys_openat2");
        assert_eq!(neutral("__arm64_sys_rt_sigreturn"), "sys_rt_sigreturn");
        assert_eq!(neutral("SyS_rmdir"), "rmdir");
        assert_eq!(neutral("ksys_mount"), "mount");
        assert_eq!(neutral("__se_thing"), "__se_thing");
        assert_eq!(neutral("ksys_"), "ksys_");
    }
}
