//! A Slurm of two nodes on this machine: Debian's programs, unpacked and not installed, on ports of the loopback
//! interface that are free. It asks nobody who they are, and ends with what started it.

use crate::children::Children;
use crate::{debian, process};
use anyhow::{Context as _, Result, bail};
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Slurm is in Debian, and the libraries that a bare machine lacks.
const PACKAGES: [&str; 13] = [
    "slurmctld",
    "slurmd",
    "slurm-client",
    "slurm-wlm-basic-plugins",
    "libdbus-1-3",
    "libhwloc15",
    "libjson-c5",
    "liblua5.1-0",
    "libmunge2",
    "libnuma1",
    "libpam0g",
    "libreadline8",
    "libyaml-0-2",
];

/// The nodes, by names that everybody can look up. Debian's Slurm wants one for each daemon, and puts the machine's own in
/// the place of `localhost`.
pub(super) const NODES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

/// CPUs that each says it has: enough for the steps of a job, whatever this machine has.
const CPUS: u32 = 8;

/// The cluster, and the variables by which its programs are found.
pub(super) struct Cluster {
    folder: PathBuf,
    plugins: PathBuf,
    libraries: OsString,
    path: OsString,
}

impl Cluster {
    /// Unpacks it; what it writes goes into `folder`. The programs of `ours` are found before others.
    pub(super) fn unpack(folder: &Path, ours: &Path) -> Result<Self> {
        let roots = PACKAGES.iter().map(|package| debian::unpack(package)).collect::<Result<Vec<_>>>()?;
        let libraries = format!("usr/lib/{ARCH}-linux-gnu");
        let plugins = Path::new(&libraries).join("slurm-wlm");
        let under = |paths: &[PathBuf]| -> Vec<PathBuf> {
            let all = roots.iter().flat_map(|root| paths.iter().map(move |path| root.join(path)));
            all.filter(|path| path.exists()).collect()
        };
        let below =
            [PathBuf::from(&libraries), Path::new("lib").join(format!("{ARCH}-linux-gnu")), plugins.clone()];
        let programs = [PathBuf::from("usr/bin"), PathBuf::from("usr/sbin")];
        let others = crate::environment::variable("PATH").unwrap_or_default();
        let path =
            std::iter::once(ours.to_owned()).chain(under(&programs)).chain(std::env::split_paths(&others));
        Ok(Cluster {
            folder: folder.to_owned(),
            plugins: under(&[plugins]).pop().context("Slurm's plugins are not in Debian's package")?,
            libraries: std::env::join_paths(under(&below))?,
            path: std::env::join_paths(path)?,
        })
    }

    /// A program of Slurm's, or one that uses them.
    pub(super) fn command(&self, program: &str) -> Command {
        // Looked up here: a child's own PATH is not where it is looked for.
        let found =
            std::env::split_paths(&self.path).map(|folder| folder.join(program)).find(|path| path.exists());
        let mut command = Command::new(found.unwrap_or_else(|| program.into()));
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        command.env("LD_LIBRARY_PATH", &self.libraries).env("PATH", &self.path).current_dir(&self.folder);
        command
    }

    /// What a program of Slurm's prints.
    pub(super) fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program).args(arguments).output().with_context(|| program.to_owned())?;
        if !output.status.success() {
            bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts the controller and each node's daemon.
    pub(super) fn start(&self, children: &Children) -> Result<()> {
        fs::create_dir_all(self.folder.join("state"))?;
        fs::write(self.folder.join("slurm.conf"), self.settings()?)?;
        let log = |name: &str| fs::File::create(self.folder.join(name));
        let mut controller = self.command("slurmctld-wlm");
        children.start(
            controller.args(["-D", "-c"]).stdout(log("slurmctld.out")?).stderr(log("slurmctld.err")?),
        )?;
        let steps = self.command("slurmstepd-wlm").get_program().to_owned();
        for name in NODES {
            fs::create_dir_all(self.folder.join(format!("spool-{name}")))?;
            let mut node = self.command("slurmd-wlm");
            node.args(["-D", "-N", name, "-d"]).arg(&steps);
            let out = log(&format!("slurmd-{name}.out"))?;
            children.start(node.stdout(out.try_clone()?).stderr(out))?;
        }
        Ok(())
    }

    fn settings(&self) -> Result<String> {
        let said = |program: &str, arguments: &[&str]| -> Result<String> {
            Ok(process::output(program, arguments)?
                .with_context(|| format!("no {program}"))?
                .trim()
                .to_owned())
        };
        let (host, user) = (said("hostname", &[])?, said("id", &["-un"])?);
        // All are held until all are known, so that they differ.
        let held = [(); 1 + NODES.len()].map(|()| TcpListener::bind("127.0.0.1:0"));
        let ports =
            held.into_iter().map(|port| Ok(port?.local_addr()?.port())).collect::<Result<Vec<_>>>()?;
        let nodes: String = std::iter::zip(NODES, &ports[1..])
            .map(|(node, port)| format!("NodeName={node} Port={port} CPUs={CPUS} State=UNKNOWN\n"))
            .collect();
        let controller = ports[0];
        let (folder, plugins) = (self.folder.display(), self.plugins.display());
        Ok(format!(
            "ClusterName=smoke\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller}\n\
             AuthType=auth/none\nCredType=cred/none\nSlurmUser={user}\nSlurmdUser={user}\nPluginDir={plugins}\n\
             StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool-%n\n\
             SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd-%n.pid\n\
             SlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/slurmd-%n.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nSlurmdParameters=config_overrides\n\
             JobAcctGatherType=jobacct_gather/none\nReturnToService=2\n\
             {nodes}PartitionName=all Nodes={} Default=YES MaxTime=INFINITE State=UP\n",
            NODES.join(",")
        ))
    }
}
