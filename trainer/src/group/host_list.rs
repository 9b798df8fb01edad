//! The first host of a list as Slurm writes it: `node[003-007,9],other`.

/// The first host; none where the list is none.
pub(super) fn first_host(list: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = list;
    loop {
        let end = rest.find(['[', ',']).unwrap_or(rest.len());
        host.push_str(&rest[..end]);
        match rest[end..].strip_prefix('[') {
            None => break,
            Some(inside) => {
                let (numbers, after) = inside.split_once(']')?;
                // The first number of the first range, with its zeros.
                host.push_str(numbers.split([',', '-']).next()?);
                rest = after;
            }
        }
    }
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::first_host;

    #[test]
    fn the_first_host_of_a_list_is_found_with_its_zeros() {
        for (list, first) in [
            ("node7", "node7"),
            ("node7,node9", "node7"),
            ("node[1-3,5],other", "node1"),
            ("node[003-007]", "node003"),
            ("n[9,1]-ib,x", "n9-ib"),
            ("rack[1-2]node[3-4]", "rack1node3"),
            ("10.0.0.[5-6]", "10.0.0.5"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(first), "{list}");
        }
        for list in ["", "node[1-3", ","] {
            assert_eq!(first_host(list), None, "{list:?}");
        }
    }
}
