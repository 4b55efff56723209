//! Fuzz targets of what the kernel and foreign files say.

use defib_fuzz::fuzz;

use crate::{netlink, parse};

const PROC: &[&[u8]] = &[
    b"7 (a) b\n(c) S 1 7 7 0 -1 0 0 0 0 0 3 4 5 6 20 0 2 0 99 0 11 18446744073709551615 1 2 3 4 5 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 2 3 4 5 6 7 0\n",
    b"rchar: 12\nwchar: 3\nsyscr: 1\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
    b"Name:\tpython3\nVmRSS:\t  1234 kB\nThreads:\t3\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n",
    b"0 0x3 0x7f 0x20 0x1 0xffffffff 0x0 0x7ffe 0x7f70\n",
    b"running\n",
    b"pos:\t0\nflags:\t02\ntfd:        5 events:       19 data:        5  pos:0 ino:1 sdev:8\n",
    b"some avg10=1.25 avg60=0.50 avg300=0.10 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    b"python3\0track.py\0--steps\0\x31\x30\0",
    b"41 42 43 \n",
];

const SOCKETS: &[&[u8]] = &[
    b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000001 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0\n",
    b"  sl  local_address remote_address st\n   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 01 00000002:00000000 00:00000000 00000000 0 0 77 1\n",
];

#[test]
fn fuzz_proc() {
    fuzz("proc", PROC, |input| {
        if let Some(stat) = parse::stat(input) {
            assert!(stat.state != 0 && stat.name.len() <= input.len() * 3);
        }
        if let Some(pressure) = parse::pressure(input) {
            assert!(pressure.is_finite());
        }
        if let Some(io) = parse::io(input) {
            assert!(io.plus(io).covers(io) && io.minus(io) == parse::Io::default());
        }
        let mut pids = Vec::new();
        parse::pids(input, &mut pids);
        assert!(pids.len() <= input.len() && pids.iter().all(|pid| *pid > 0));
        let strings = parse::strings(input);
        assert!(strings.len() <= input.len() + 1);
        if std::str::from_utf8(input).is_ok() && !input.is_empty() && input.last() == Some(&0) && input != b"\0" {
            let mut again = strings.join("\0").into_bytes();
            again.push(0);
            assert_eq!(again, input, "a list of strings survives");
        }
        assert!(parse::epoll_watched(input).len() <= input.len());
        let _ = (parse::call(input), parse::switches(input), parse::field_number(input, "VmRSS"));
        let text = String::from_utf8_lossy(input);
        let inode = parse::link_inode(&text, "pipe");
        assert!(inode.is_none_or(|inode| text.trim_end().ends_with(&format!("{inode}]"))
            || text.contains('0')
            || text.contains(' ')));
        assert!(parse::number(input).is_none_or(|number| number == 0 || input.len() >= number.ilog10() as usize));
    });
}

#[test]
fn fuzz_socket_tables() {
    fuzz("socket_tables", SOCKETS, |input| {
        let rows = netlink::text_table(input);
        assert!(rows.len() <= input.split(|&byte| byte == b'\n').count());
        for row in rows {
            assert!(row.state != 10 || row.send_queue == 0);
            assert!(!row.local.0.show(row.local.1).is_empty());
        }
    });
}

#[test]
fn fuzz_netlink() {
    // A message of the kernel with an attribute, and the end of a dump.
    let mut message = vec![0_u8; 16 + 72 + 8];
    message[0..4].copy_from_slice(&96_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&20_u16.to_ne_bytes());
    message[16] = 2;
    message[17] = 1;
    message[88..92].copy_from_slice(&[8, 0, 2, 0]);
    let mut done = vec![0_u8; 20];
    done[0..4].copy_from_slice(&20_u32.to_ne_bytes());
    done[4..6].copy_from_slice(&3_u16.to_ne_bytes());
    let both = [message.clone(), done].concat();
    fuzz("netlink", &[&message, &both], |input| {
        let (mut bodies, mut bytes) = (0, 0);
        let _ = netlink::each_socket(input, &mut |body: &[u8]| {
            bodies += 1;
            bytes += body.len();
        });
        assert!(bytes + bodies * 16 <= input.len(), "each byte is read once");
    });
}
