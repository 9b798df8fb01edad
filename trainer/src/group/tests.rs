use super::*;

type Variables<'a> = &'a [(&'a str, &'a str)];

fn find(args: &GroupArgs, variables: Variables<'_>) -> Result<Option<Membership>, String> {
    let value =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    args.find_in(&value).map_err(|error| error.to_string())
}

fn flags(group: Option<&str>, rank: Option<u32>, world: Option<u32>) -> GroupArgs {
    GroupArgs { group: group.map(str::to_owned), rank, world, group_timeout: None }
}

fn member(rank: u32, world: u32, host: &str, port: u16) -> Membership {
    let (local_rank, is_served, attempt) = (0, false, 0);
    Membership { rank, world, local_rank, host: host.to_owned(), port, is_served, attempt, timeout: TIMEOUT }
}

const TORCHRUN: [(&str, &str); 7] = [
    ("MASTER_ADDR", "a.example"),
    ("MASTER_PORT", "29400"),
    ("RANK", "3"),
    ("WORLD_SIZE", "4"),
    ("LOCAL_RANK", "1"),
    ("TORCHELASTIC_USE_AGENT_STORE", "True"),
    ("TORCHELASTIC_RESTART_COUNT", "2"),
];

const KUBEFLOW: [(&str, &str); 5] = [
    ("PET_NNODES", "2"),
    ("PET_NPROC_PER_NODE", "auto"),
    ("PET_NODE_RANK", "1"),
    ("PET_MASTER_ADDR", "job-node-0-0.job"),
    ("PET_MASTER_PORT", "29500"),
];

const SLURM: [(&str, &str); 7] = [
    ("SLURM_JOB_ID", "1000"),
    ("SLURM_STEP_ID", "2"),
    ("SLURM_STEP_NUM_TASKS", "8"),
    ("SLURM_PROCID", "5"),
    ("SLURM_LOCALID", "1"),
    ("SLURM_STEP_NODELIST", "node[03-06]"),
    ("SLURM_LAUNCH_NODE_IPADDR", "10.0.0.1"),
];

fn without<'a>(all: Variables<'a>, name: &str) -> Vec<(&'a str, &'a str)> {
    all.iter().copied().filter(|(key, _)| *key != name).collect()
}

#[test]
fn every_engine_is_understood() {
    let torchrun =
        Membership { local_rank: 1, is_served: true, attempt: 2, ..member(3, 4, "a.example", 29400) };
    let slurm = Membership { local_rank: 1, ..member(5, 8, "node03", 12_000 + (31_002 % 20_000)) };
    let pytorch_job: Variables<'_> =
        &[("MASTER_ADDR", "m"), ("MASTER_PORT", "23456"), ("WORLD_SIZE", "2"), ("RANK", "0")];
    let indexed_job: Variables<'_> = &[
        ("JOB_COMPLETION_INDEX", "1"),
        ("WORLD_SIZE", "2"),
        ("MASTER_ADDR", "train-0.train"),
        ("MASTER_PORT", "29500"),
    ];
    let elsewhere = [without(&SLURM, "SLURM_STEP_NODELIST"), vec![("MASTER_PORT", "7")]].concat();
    for (variables, expected) in [
        (&TORCHRUN[..], torchrun.clone()),
        (pytorch_job, member(0, 2, "m", 23456)),
        (indexed_job, member(1, 2, "train-0.train", 29500)),
        (&KUBEFLOW, member(1, 2, "job-node-0-0.job", 29500)),
        (&SLURM, slurm),
        (&elsewhere, Membership { local_rank: 1, ..member(5, 8, "10.0.0.1", 7) }),
        // torchrun in a step of Slurm, and as Kubeflow starts it: the nearest counts.
        (&[&SLURM[..], &TORCHRUN].concat(), torchrun.clone()),
        (&[&KUBEFLOW[..], &TORCHRUN].concat(), torchrun),
    ] {
        assert_eq!(find(&GroupArgs::default(), variables), Ok(Some(expected)), "{variables:?}");
    }
}

#[test]
fn who_is_told_of_no_others_trains_alone() {
    for variables in [
        &[][..],
        &[("MASTER_ADDR", "stray")],
        &[("MASTER_ADDR", "stray"), ("MASTER_PORT", "29500")],
        &[("WORLD_SIZE", "1"), ("RANK", "0"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")],
        &[("WORLD_SIZE", "1")],
        &[("JOB_COMPLETION_INDEX", "0")],
        &[("PET_NNODES", "1"), ("PET_NODE_RANK", "0")],
        // A batch script, and a step of one task in a job of many: how a trainer runs beside loaders.
        &[("SLURM_NTASKS", "6"), ("SLURM_PROCID", "0"), ("SLURM_JOB_NODELIST", "n[1-2]")],
        &[("SLURM_NTASKS", "1"), ("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_PROCID", "0")],
        &[("RANK", ""), ("WORLD_SIZE", "")],
    ] {
        assert_eq!(find(&GroupArgs::default(), variables), Ok(None), "{variables:?}");
    }
    assert_eq!(find(&flags(Some("none"), None, None), &TORCHRUN), Ok(None));
    assert_eq!(find(&flags(Some("a:1"), Some(0), Some(1)), &[]), Ok(None));
}

#[test]
fn flags_win_over_the_environment() {
    let given = flags(Some("10.0.0.7:5000"), Some(1), Some(2));
    for variables in [&[][..], &without(&TORCHRUN, "LOCAL_RANK")] {
        assert_eq!(find(&given, variables), Ok(Some(member(1, 2, "10.0.0.7", 5000))));
    }
    let ipv6 = flags(Some("[::1]:5000"), Some(0), Some(2));
    assert_eq!(find(&ipv6, &[]), Ok(Some(member(0, 2, "::1", 5000))));
}

#[test]
fn half_a_group_is_refused_with_what_is_missing() {
    let none = GroupArgs::default;
    let torchrun = |name| without(&TORCHRUN, name);
    let two = |one, other| vec![one, other];
    for (args, variables, expected) in [
        (none(), torchrun("RANK"), "RANK is missing: WORLD_SIZE is set"),
        (none(), torchrun("WORLD_SIZE"), "WORLD_SIZE is missing: RANK is set"),
        (none(), torchrun("MASTER_ADDR"), "MASTER_ADDR is missing: WORLD_SIZE is 4"),
        (none(), torchrun("MASTER_PORT"), "MASTER_PORT is missing: WORLD_SIZE is 4"),
        (none(), without(&KUBEFLOW, "PET_NODE_RANK"), "PET_NODE_RANK is missing: PET_NNODES is 2"),
        (none(), without(&KUBEFLOW, "PET_MASTER_ADDR"), "PET_MASTER_ADDR is missing"),
        (none(), without(&SLURM, "SLURM_PROCID"), "SLURM_PROCID is missing: SLURM_STEP_NUM_TASKS is 8"),
        (none(), two(("RANK", "4"), ("WORLD_SIZE", "x")), "WORLD_SIZE is x in the environment"),
        (none(), two(("PET_NNODES", "1:4"), ("PET_NODE_RANK", "0")), "PET_NNODES is 1:4"),
        (none(), two(("PET_NNODES", "2"), ("PET_NPROC_PER_NODE", "8")), "PET_NPROC_PER_NODE is 8: torchrun"),
        (none(), [torchrun("RANK"), vec![("RANK", "4")]].concat(), "rank 4 is not one of a group of 4"),
        (flags(Some("a:1"), None, Some(2)), vec![], "--rank is missing"),
        (flags(Some("a:1"), Some(0), None), vec![], "--world is missing"),
        (flags(None, Some(0), None), vec![], "--group is missing"),
        (flags(None, None, Some(2)), TORCHRUN.to_vec(), "--group is missing"),
        (flags(Some("a"), Some(0), Some(2)), vec![], "--group is a, it must be HOST:PORT"),
        (flags(Some("a:x"), Some(0), Some(2)), vec![], "--group is a:x, it must be HOST:PORT"),
        (flags(Some("a:1"), Some(2), Some(2)), vec![], "rank 2 is not one of a group of 2"),
        (flags(Some("a:1"), Some(0), Some(0)), vec![], "rank 0 is not one of a group of 0"),
        (flags(Some("none"), Some(0), None), vec![], "--group none is for a trainer alone"),
    ] {
        let error = find(&args, &variables).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'));
    }
}
