//! The fake docker itself: it behaves as an engine and as a VCH do, in what the scenarios lean on.

use std::time::{Duration, Instant};

use serde_json::json;

use super::sandbox::{ADDRESS, FLAVORS, Flavor, Ran, Sandbox, script_config};

const CONFIG: &str = "/usr/local/etc/haproxy/haproxy.cfg";

/// `docker`, its arguments written as in a shell.
fn docker(sandbox: &Sandbox, line: &str) -> Ran {
    sandbox.docker_line(line)
}

/// Puts a configuration into the load balancer.
fn put(sandbox: &Sandbox, text: &str) -> Ran {
    let file = sandbox.write("new.cfg", text);
    sandbox.docker(&["cp", file.to_str().unwrap(), &format!("lb:{CONFIG}")])
}

#[test]
fn the_script_runs_on_both() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let results = sandbox.script(3);
        assert_eq!(results.len(), 11);
        let address = results.into_iter().map(Ran::success).next_back().unwrap();
        address.stdout("127.50.0.2\n");
        assert_eq!(sandbox.containers(), ["lb", "web-1", "web-2", "web-3"]);
        assert_eq!(sandbox.networks(), ["web-net"]);
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(3)));
        assert_eq!(sandbox.changing_calls().len(), 10);
        let calls = sandbox.calls();
        assert!(calls.windows(2).all(|pair| pair[0].before(&pair[1])));
        assert!(calls.iter().all(|call| call.code == Some(0)));
    }
}

#[test]
fn flags_that_are_not_known_are_refused_as_the_client_does() {
    let sandbox = Sandbox::new(Flavor::Engine);
    docker(&sandbox, "run --bogus httpd")
        .code(125)
        .stderr("unknown flag: --bogus\nSee 'docker run --help'.\n");
    docker(&sandbox, "stop -x lb")
        .code(125)
        .stderr("unknown shorthand flag: 'x' in -x\nSee 'docker stop --help'.\n");
    docker(&sandbox, "frobnicate")
        .code(1)
        .stderr_has("docker: 'frobnicate' is not a docker command.");
    docker(&sandbox, "start")
        .code(1)
        .stderr_has("\"docker start\" requires at least 1 argument.");
    sandbox.config(json!({"client": "28.2.2"}));
    docker(&sandbox, "run --bogus httpd")
        .code(125)
        .stderr_has("Run 'docker run --help' for more information");
}

#[test]
fn a_name_is_given_once() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        docker(&sandbox, "run -d --name web-1 httpd").success();
        let id = sandbox.container("web-1")["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let text = if sandbox.is_vch() {
            format!(
                "conflict. The name \"web-1\" is already in use by container {id}. You have to remove (or rename) that container to be able to re use that name."
            )
        } else {
            format!(
                "Conflict. The container name \"/web-1\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
            )
        };
        docker(&sandbox, "run -d --name web-1 httpd")
            .code(125)
            .stdout("")
            .stderr(&format!(
                "docker: Error response from daemon: {text}\nSee 'docker run --help'.\n"
            ));
        docker(&sandbox, "create --name web-1 httpd")
            .code(1)
            .stderr(&format!("Error response from daemon: {text}\n"));
        docker(&sandbox, "rename web-1 web-2").success();
        docker(&sandbox, "create --name web-1 httpd").success();
        docker(&sandbox, "rename web-1 web-2")
            .code(1)
            .stderr_has("already in use by container");
        docker(&sandbox, &format!("inspect -f {{{{.Name}}}} {}", &id[..12])).stdout("/web-2\n");
    }
}

#[test]
fn what_goes_in_by_cp_comes_out() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        docker(&sandbox, "create --name lb --net routable haproxy:1.7").success();
        put(&sandbox, "defaults\n").success();
        let out = sandbox
            .docker(&["cp", &format!("lb:{CONFIG}"), "-"])
            .success();
        let tar = out.bytes;
        let mut archive = tar::Archive::new(&tar[..]);
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("haproxy.cfg"));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        assert_eq!(text, "defaults\n");

        // The same tar goes in by stdin, into a folder.
        docker(&sandbox, "create --name other haproxy:1.7").success();
        let cp = ["cp", "-", "other:/usr/local/etc/haproxy"];
        sandbox
            .docker_with(&cp, |command| command.write_stdin(tar.clone()))
            .success();
        assert_eq!(
            sandbox.file_in("other", CONFIG).as_deref(),
            Some("defaults\n")
        );
        let call = sandbox.calls().pop().unwrap();
        assert_eq!(call.stdin_tar[0]["text"], "defaults\n");
        assert!(!call.stdin_null);

        let absent = docker(&sandbox, "cp lb:/nowhere -").code(1).stdout("");
        let missing = docker(&sandbox, "cp nope:/etc/x -").code(1);
        if sandbox.is_vch() {
            absent.stderr_has("No such file or directory");
            missing.stderr_has("No such container: nope");
        } else {
            absent.stderr("Error: No such container:path: lb:/nowhere\n");
            missing.stderr("Error: No such container:path: nope:/etc/x\n");
            sandbox.config(json!({"client": "28.2.2"}));
            docker(&sandbox, "cp lb:/nowhere -").stderr(
                "Error response from daemon: Could not find the file /nowhere in container lb\n",
            );
        }
    }
}

#[test]
fn a_load_balancer_without_its_configuration_exits() {
    let sandbox = Sandbox::new(Flavor::Engine);
    docker(&sandbox, "network create web-net").success();
    docker(&sandbox, "create --name lb --net routable haproxy:2.6").success();
    docker(&sandbox, "start lb").success();
    docker(
        &sandbox,
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' lb",
    )
    .stdout("exited 1\n");
    docker(&sandbox, "logs lb").stderr_has(
        "[ALERT]    (1) : config : Could not open configuration file /usr/local/etc/haproxy/haproxy.cfg : No such file or directory",
    );
    put(&sandbox, &script_config(1)).success();
    docker(&sandbox, "start lb").success();
    docker(&sandbox, "logs --tail 1 lb").stderr_has("Failed to initialize server(s) addr.");
    docker(&sandbox, "run -d --name web-1 --net web-net httpd").success();
    docker(&sandbox, "start lb").success();
    docker(&sandbox, "inspect -f '{{.State.Status}}' lb").stdout("exited\n");
    docker(&sandbox, "network connect web-net lb").success();
    docker(&sandbox, "start lb").success();
    docker(&sandbox, "inspect -f '{{.State.Status}}' lb").stdout("running\n");
    docker(&sandbox, "logs --tail 1 lb").stderr("[NOTICE]   (1) : Loading success.\n");
}

#[test]
fn a_hup_loads_what_is_good_and_keeps_what_is_bad_out() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        put(&sandbox, &script_config(1)).success();
        docker(&sandbox, &format!("exec lb haproxy -c -V -f {CONFIG}"))
            .stdout("Configuration file is valid\n");
        docker(&sandbox, "kill -s HUP lb").success().stdout("lb\n");
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(1)));
        assert_eq!(sandbox.container("lb")["loads"], 2);

        let since = sandbox.container("lb")["last_hup"].as_u64().unwrap() / 1_000_000_000 + 1;
        std::thread::sleep(Duration::from_millis(1_050));
        put(&sandbox, "global\n\tmaxconn 256\n\txyz\n").success();
        docker(&sandbox, &format!("exec lb haproxy -c -V -f {CONFIG}"))
            .code(1)
            .stderr_has("parsing [/usr/local/etc/haproxy/haproxy.cfg:3] : unknown keyword 'xyz' in 'global' section");
        docker(&sandbox, "kill -s HUP lb").success();
        assert_eq!(sandbox.loaded_config("lb"), Some(script_config(1)));
        let logs = docker(&sandbox, &format!("logs --since {since} lb"));
        if sandbox.is_vch() {
            logs.stdout_has("[ALERT]")
        } else {
            logs.stderr_has("[ALERT]").stdout("")
        };

        put(&sandbox, &script_config(3)).success();
        docker(&sandbox, &format!("exec lb haproxy -c -V -f {CONFIG}"))
            .code(1)
            .stderr_has("'server server3' : could not resolve address 'web-3'.");
    }
}

#[test]
fn hups_can_be_lost() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"lose_hup": 1, "drop_fast_hup": true}));
    sandbox.script_has_run(2);
    put(&sandbox, &script_config(1)).success();
    docker(&sandbox, "kill -s HUP lb").success();
    docker(&sandbox, "kill -s HUP lb").success();
    assert_eq!(sandbox.container("lb")["loads"], 1);
    std::thread::sleep(Duration::from_millis(1_020));
    docker(&sandbox, "kill -s HUP lb").success();
    assert_eq!(sandbox.container("lb")["loads"], 2);
}

#[test]
fn newer_versions_say_when_the_old_worker_is_gone() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"old_worker_ms": 300, "images": {"haproxy:1.7": {"haproxy": "2.6.12"}}}));
    sandbox.script_has_run(1);
    docker(&sandbox, "kill -s HUP lb").success();
    docker(&sandbox, "logs lb")
        .stderr_has("New worker (10) forked")
        .stderr_lacks("Former worker");
    sandbox.wait_until("the old worker's end", || {
        docker(&sandbox, "logs lb")
            .stderr
            .contains("Former worker (8) exited with code 0")
            .then_some(())
    });
}

#[test]
fn a_copy_can_be_cut_short() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"truncate_cp": 1}));
    sandbox.script_has_run(1);
    put(&sandbox, "0123456789").success();
    assert_eq!(sandbox.file_in("lb", CONFIG).as_deref(), Some("01234"));
    put(&sandbox, "0123456789").success();
    assert_eq!(sandbox.file_in("lb", CONFIG).as_deref(), Some("0123456789"));
}

#[test]
fn teardown_in_the_wrong_order_is_refused() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(1);
        docker(&sandbox, "rm web-1")
            .code(1)
            .stderr_has("You cannot remove a running container");
        docker(&sandbox, "network rm web-net")
            .code(1)
            .stderr_has("has active endpoints");
        docker(&sandbox, "stop web-1 lb")
            .success()
            .stdout("web-1\nlb\n");
        let with_stopped = docker(&sandbox, "network rm web-net");
        if sandbox.is_vch() {
            with_stopped
                .code(1)
                .stderr("Error response from daemon: web-net has active endpoints\n");
            docker(&sandbox, "rm web-1 lb").success();
            docker(&sandbox, "network rm web-net").success();
            docker(&sandbox, "network rm web-net")
                .code(1)
                .stderr("Error response from daemon: network web-net not found\n");
            docker(&sandbox, "network rm routable")
                .code(1)
                .stderr("Error response from daemon: cannot remove builtin scope\n");
        } else {
            with_stopped.success();
            docker(&sandbox, "start web-1")
                .code(1)
                .stderr_has("not found\nError: failed to start containers: web-1");
            docker(&sandbox, "network rm web-net")
                .code(1)
                .stderr("Error: No such network: web-net\n");
            docker(&sandbox, "network rm bridge")
                .code(1)
                .stderr_has("is a pre-defined network and cannot be removed");
        }
        docker(&sandbox, "rm -f web-1 lb nope")
            .success()
            .stderr_has("No such container: nope");
        docker(&sandbox, "rm nope").code(1);
        assert!(sandbox.containers().is_empty());
    }
}

#[test]
fn old_vchs_leak_what_is_removed_by_force() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"version": "1.5.3"}));
    sandbox.script_has_run(1);
    docker(&sandbox, "rm -f web-1 lb").success();
    docker(&sandbox, "network rm web-net")
        .code(1)
        .stderr_has("has active endpoints");
}

#[test]
fn addresses_are_the_lowest_that_are_free() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        docker(&sandbox, "network create web-net").success();
        for number in 1..=3 {
            docker(
                &sandbox,
                &format!("run -d --name web-{number} --net web-net httpd"),
            )
            .success();
        }
        let address = |name: &str| {
            let format = "{{(index .NetworkSettings.Networks \"web-net\").IPAddress}}";
            sandbox
                .docker(&["inspect", "-f", format, name])
                .success()
                .stdout
                .trim()
                .to_owned()
        };
        let [first, second, third] = ["web-1", "web-2", "web-3"].map(address);
        assert_eq!(
            [&first, &second, &third].map(|text| text.rsplit('.').next().unwrap()),
            ["2", "3", "4"]
        );
        docker(&sandbox, "stop web-2").success();
        // A VCH keeps the address of what is stopped.
        assert_eq!(
            address("web-2"),
            if sandbox.is_vch() {
                second.clone()
            } else {
                String::new()
            }
        );
        docker(&sandbox, "run -d --name web-4 --net web-net httpd").success();
        assert_eq!(address("web-4") == second, !sandbox.is_vch());
        docker(&sandbox, "rm -f web-2 web-1").success();
        docker(&sandbox, "run -d --name web-5 --net web-net httpd").success();
        assert_eq!(address("web-5"), first);
        let listed = docker(&sandbox, "network inspect web-net").json();
        assert_eq!(listed[0]["Containers"].as_object().unwrap().len(), 3);
    }
}

#[test]
fn ps_filters_as_the_endpoint_does() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.script_has_run(2);
        docker(&sandbox, "create --name web-10 --label role=spare httpd").success();
        let names = |arguments: &str| {
            docker(
                &sandbox,
                &format!("ps {arguments} --format '{{{{.Names}}}}'"),
            )
            .success()
            .stdout
        };
        assert_eq!(names("-a"), "web-10\nlb\nweb-2\nweb-1\n");
        assert_eq!(names(""), "lb\nweb-2\nweb-1\n");
        assert_eq!(names("-a --filter name=web-1"), "web-10\nweb-1\n");
        assert_eq!(
            names("-a --filter 'name=^web-1$' --filter 'name=^lb$'"),
            "lb\nweb-1\n"
        );
        assert_eq!(
            names("-a --filter 'name=^/web-1$'"),
            if sandbox.is_vch() { "" } else { "web-1\n" }
        );
        assert_eq!(
            names("-a --filter 'name=^/?(web-[0-9]+|lb)$' --filter network=web-net"),
            "lb\nweb-2\nweb-1\n"
        );
        assert_eq!(names("-a --filter label=role=spare"), "web-10\n");
        assert_eq!(names("--filter status=created"), "web-10\n");
        let ancestor = docker(&sandbox, "ps --filter ancestor=httpd");
        if sandbox.is_vch() {
            ancestor.code(1).stderr(
                "Error response from daemon: filter ancestor is not currently supported by vic\n",
            );
        } else {
            ancestor.success();
        }
        let row = docker(
            &sandbox,
            "ps --no-trunc --filter name=lb --format '{{json .}}'",
        )
        .json();
        assert_eq!(
            row["Networks"],
            if sandbox.is_vch() {
                ""
            } else {
                "routable,web-net"
            }
        );
    }
}

#[test]
fn inspect_differs_as_documented() {
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        sandbox.config(
            json!({"images": {"httpd": {"health": {"healthy_after": 1}, "exposed": [80]}}}),
        );
        docker(&sandbox, "network create web-net").success();
        docker(&sandbox, "create --name idle --net web-net httpd").success();
        docker(
            &sandbox,
            "run -d -p 80 --memory 100m --name web-1 --net web-net httpd",
        )
        .success();
        let all = docker(&sandbox, "inspect idle web-1").success().json();
        let (idle, web) = (&all[0], &all[1]);
        assert_eq!(
            idle["NetworkSettings"]["Networks"]["web-net"]["IPAddress"],
            ""
        );
        assert_eq!(web["NetworkSettings"]["IPAddress"], "");
        assert_eq!(web["Name"], "/web-1");
        if sandbox.is_vch() {
            assert_eq!(idle["State"]["StartedAt"], "");
            assert_eq!(web["HostConfig"]["Memory"], 512);
            assert_eq!(web["Image"].as_str().unwrap().len(), 64);
            assert!(web["State"].get("Health").is_none());
        } else {
            assert_eq!(idle["State"]["StartedAt"], "0001-01-01T00:00:00Z");
            assert_eq!(web["HostConfig"]["Memory"], 100 << 20);
            assert!(web["Image"].as_str().unwrap().starts_with("sha256:"));
            assert_eq!(web["State"]["Health"]["Status"], "starting");
            docker(&sandbox, "inspect -f '{{.State.Health.Status}}' web-1").stdout("healthy\n");
        }
        docker(&sandbox, "inspect web-1 nope")
            .code(1)
            .stderr("Error: No such object: nope\n")
            .stdout_has("\"/web-1\"");
        docker(&sandbox, "inspect --type container nope")
            .code(1)
            .stdout("[]\n")
            .stderr(if sandbox.is_vch() {
                "Error response from daemon: No such container: nope\n"
            } else {
                "Error: No such container: nope\n"
            });
        docker(&sandbox, &format!("inspect -f '{ADDRESS}' web-1"))
            .code(1)
            .stderr_has("nil pointer evaluating");
    }
}

#[test]
fn a_vch_says_what_it_is() {
    let sandbox = Sandbox::new(Flavor::Vch);
    docker(
        &sandbox,
        "info --format '{{.ID}}|{{json .Plugins.Network}}'",
    )
    .stdout("vSphere Integrated Containers|[\"bridge\",\"routable\"]\n");
    docker(
        &sandbox,
        "version --format '{{.Server.Version}} {{.Server.APIVersion}}'",
    )
    .stdout("1.5.8 1.25\n");
    docker(&sandbox, "network inspect routable --format '{{.Driver}}'").stdout("external\n");
}

#[test]
fn a_vch_lacks_what_it_lacks() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.script_has_run(1);
    docker(&sandbox, "network disconnect web-net lb")
        .code(1)
        .stderr("Error response from daemon: vSphere Integrated Containers does not yet implement DisconnectContainerFromNetwork\n");
    docker(&sandbox, "pause lb")
        .code(1)
        .stderr_has("does not yet implement ContainerPause");
    docker(&sandbox, "network create other-net").success();
    // Connecting what runs is said to work, and does nothing.
    docker(&sandbox, "network connect other-net lb").success();
    docker(
        &sandbox,
        "inspect -f '{{(index .NetworkSettings.Networks \"other-net\").IPAddress}}' lb",
    )
    .stdout("\n");
    docker(&sandbox, "run -d --net web-net --net other-net httpd")
        .code(125)
        .stderr_has("one vicnetwork endpoint only");
    docker(&sandbox, "run -d -v /tmp:/tmp httpd")
        .code(125)
        .stderr_has("mounting directories as a data volume is not supported.");
    docker(&sandbox, "logs --until 1m lb")
        .code(1)
        .stderr_has("requires API version 1.35");
    docker(&sandbox, "create --net nowhere httpd")
        .code(1)
        .stderr_has("scope nowhere not found");
    docker(&sandbox, "network create web-net")
        .code(1)
        .stderr("Error response from daemon: vicnetwork web-net already exists\n");
    for number in 2..15 {
        docker(&sandbox, &format!("network create n{number}")).success();
    }
    docker(&sandbox, "network create n15")
        .code(1)
        .stderr_has("no IP addresses available in allocated range");
}

#[test]
fn a_vchs_container_network_has_a_firewall() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let reachable = |name: &str| sandbox.container(name)["reachable_ports"]["routable"].clone();
    docker(&sandbox, "create --name one --net routable haproxy:1.7").success();
    assert_eq!(reachable("one"), json!([]));
    docker(
        &sandbox,
        "create --name two --net routable -p 80:80 haproxy:1.7",
    )
    .success();
    assert_eq!(reachable("two"), json!(["80/tcp"]));
    for (level, flags, refusal) in [
        ("open", "", None),
        (
            "peers",
            "-p 80",
            Some("must specify a mapping (firewall configured for \"peers\""),
        ),
        (
            "closed",
            "-p 80:80",
            Some("ports cannot be published via container network routable"),
        ),
    ] {
        sandbox.config(json!({"networks": {"routable": {"firewall": level}}}));
        let ran = docker(
            &sandbox,
            &format!("create --name {level} --net routable {flags} haproxy:1.7"),
        );
        match refusal {
            None => assert_eq!(
                ran.success().code.map(|_| reachable(level)),
                Some(json!(["*"]))
            ),
            Some(text) => drop(ran.code(1).stderr_has("Message:").stderr_has(text)),
        }
    }
}

#[test]
fn a_vch_is_slow_to_tell() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"starting_inspects": 2, "address_delay_inspects": 3}));
    docker(&sandbox, "run -d --name lb --net routable httpd").success();
    let looks: Vec<String> = (0..4)
        .map(|_| {
            sandbox
                .docker(&[
                    "inspect",
                    "-f",
                    &format!("{{{{.State.Status}}}} {ADDRESS}"),
                    "lb",
                ])
                .stdout
        })
        .collect();
    assert_eq!(
        looks,
        [
            "Starting \n",
            "running \n",
            "running 127.50.0.2\n",
            "running 127.50.0.2\n"
        ]
    );
}

#[test]
fn a_vch_answers_with_conflicts() {
    let sandbox = Sandbox::new(Flavor::Vch);
    sandbox.config(json!({"conflict_every": 3}));
    docker(&sandbox, "pull httpd").success();
    docker(&sandbox, "network create web-net").success();
    docker(&sandbox, "run -d --name web-1 --net web-net httpd")
        .code(125)
        .stderr_has("docker: Error response from daemon: Conflict error from portlayer: ")
        .stderr_has("commitConflict");
    assert!(sandbox.containers().is_empty());
    docker(&sandbox, "run -d --name web-1 --net web-net httpd").success();
}

#[test]
fn images_fail_as_they_are_told_to() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"images": {
        "app:gone": {"refuse": ""},
        "app:dead": {"exits": 3, "logs": ["hello", "!no database"]},
        "app:weak": {"dies_after": 1},
        "app:broken": {"start_error": "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown"},
        "httpd@1": {"env": ["V=2"]},
    }}));
    docker(&sandbox, "pull app:gone")
        .code(1)
        .stderr_has("pull access denied for app");
    docker(&sandbox, "image inspect httpd")
        .code(1)
        .stdout("[]\n")
        .stderr("Error: No such image: httpd\n");
    docker(&sandbox, "run -d --name dead app:dead")
        .success()
        .stderr_has("Unable to find image 'app:dead' locally");
    docker(&sandbox, "logs dead")
        .stdout("hello\n")
        .stderr("no database\n");
    docker(&sandbox, "wait dead").stdout("3\n");
    docker(&sandbox, "run -d --name weak app:weak").success();
    docker(&sandbox, "inspect -f '{{.State.Running}}' weak").stdout("true\n");
    docker(&sandbox, "inspect -f '{{.State.Running}}' weak").stdout("false\n");
    docker(&sandbox, "run -d --name broken app:broken")
        .code(127)
        .stderr_has("executable file not found");
    assert_eq!(sandbox.container("broken")["status"], "created");

    docker(&sandbox, "pull httpd").stdout_has("Status: Downloaded newer image for httpd:latest");
    docker(&sandbox, "pull httpd").stdout_has("Status: Image is up to date for httpd:latest");
    docker(&sandbox, "run -d --name old httpd").success();
    let id = || docker(&sandbox, "image inspect -f '{{.Id}}' httpd").stdout;
    let before = id();
    sandbox.push_image("httpd");
    docker(&sandbox, "pull -q httpd")
        .success()
        .stdout("docker.io/library/httpd:latest\n");
    assert_ne!(id(), before);
    docker(&sandbox, "inspect -f '{{.Image}}' old").stdout(&before);
    docker(
        &sandbox,
        &format!(
            "image inspect -f '{{{{json .RepoTags}}}}' {}",
            before.trim()
        ),
    )
    .stdout("[]\n");
    docker(&sandbox, "image inspect -f '{{.Config.Env}}' httpd").stdout_has("V=2");
}

#[test]
fn a_port_of_the_host_is_given_once() {
    let sandbox = Sandbox::new(Flavor::Engine);
    docker(&sandbox, "run -d --name one -p 8080:80 httpd").success();
    docker(&sandbox, "run -d --name two -p 8080:80 httpd")
        .code(125)
        .stderr_has("Bind for 0.0.0.0:8080 failed: port is already allocated");
    assert_eq!(sandbox.container("two")["status"], "created");
    docker(&sandbox, "port one 80").stdout("0.0.0.0:8080\n");
    docker(&sandbox, "stop one").success();
    docker(&sandbox, "start two").success();
}

#[test]
fn the_old_load_balancer_ignores_its_stop_signal() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.script_has_run(1);
    docker(&sandbox, "stop lb").success();
    assert_eq!(sandbox.container("lb")["killed_after_grace"], true);
    assert_eq!(sandbox.container("lb")["exit_code"], 137);
    docker(&sandbox, "start lb").success();
    docker(&sandbox, "kill -s TERM lb").success();
    assert_eq!(sandbox.container("lb")["exit_code"], 143);
    docker(&sandbox, "kill -s HUP lb")
        .code(1)
        .stderr_has("Cannot kill container: lb: Container ");
}

#[test]
fn faults_strike_before_and_after() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .rule(json!({"when": ["run", "web-*"], "nth": 2, "exit": 125, "stderr": "docker: boom."}))
        .rule(json!({"changing_call": 2, "before": false, "exit": 1, "stderr": "lost the reply"}))
        .rule(json!({"when": ["ps"], "raw_stdout_hex": "ff00"}))
        .rule(json!({"when": ["inspect"], "nth": 0, "signal": 9}));
    docker(&sandbox, "run -d --name web-1 httpd").success();
    docker(&sandbox, "-H tcp://x:1 run -d --name web-2 httpd")
        .code(125)
        .stdout("")
        .stderr("docker: boom.\n");
    docker(&sandbox, "run -d --name web-3 httpd")
        .code(1)
        .stdout("")
        .stderr("lost the reply\n");
    assert_eq!(sandbox.containers(), ["web-1", "web-3"]);
    assert_eq!(docker(&sandbox, "ps").success().bytes, [0xff, 0]);
    assert_eq!(docker(&sandbox, "inspect web-1").signal, Some(9));
    let calls = sandbox.calls();
    assert_eq!(calls[4].signal, Some(9));
    assert_eq!(calls[1].words[0], "run");
    assert_eq!(calls[2].rule, Some(1));
}

#[test]
fn a_call_that_hangs_holds_no_other_up() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.rule(json!({"when": ["pull", "httpd"], "hang": "go"}));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| docker(&sandbox, "pull httpd"));
        let call = sandbox.wait_for_call("pull httpd");
        docker(&sandbox, "pull haproxy:1.7").success();
        assert!(!hanging.is_finished());
        sandbox.release("go");
        hanging.join().unwrap().success();
        let calls = sandbox.calls();
        assert!(calls[0].overlaps(&calls[1]));
        assert_eq!(call.seq, 0);
    });
}

#[test]
fn an_endpoint_that_is_not_there_is_told_as_by_the_client() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({"unreachable": ""}));
    docker(&sandbox, "-H tcp://vch:2376 ps").code(1).stderr(
        "Cannot connect to the Docker daemon at tcp://vch:2376. Is the docker daemon running?\n",
    );
    docker(&sandbox, "version --format '{{.Client.Version}}'")
        .code(1)
        .stdout("20.10.24\n");
    docker(&sandbox, "context show")
        .success()
        .stdout("default\n");
}

#[test]
fn parallel_calls_lose_nothing() {
    let sandbox = Sandbox::new(Flavor::Engine);
    docker(&sandbox, "pull httpd").success();
    docker(&sandbox, "network create web-net").success();
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for number in 0..10 {
                    docker(
                        sandbox,
                        &format!("run -d -p 80 --name web-{lane}{number} --net web-net httpd"),
                    )
                    .success();
                }
            });
        }
    });
    let listed = docker(&sandbox, "network inspect web-net").json();
    let members = listed[0]["Containers"].as_object().unwrap();
    let addresses: std::collections::BTreeSet<&str> = members
        .values()
        .map(|member| member["IPv4Address"].as_str().unwrap())
        .collect();
    assert_eq!((members.len(), addresses.len()), (40, 40));
    let seqs: Vec<u64> = sandbox.calls().iter().map(|call| call.seq).collect();
    assert_eq!(seqs, (0..43).collect::<Vec<_>>());
}

#[test]
fn the_world_around_answers_or_is_silent() {
    let sandbox = Sandbox::new(Flavor::Engine);
    let listener = sandbox.listen("127.50.0.2", 0, 200);
    let address = format!("{}:{}", sandbox.address("127.50.0.2"), listener.port());
    let answer = ureq::get(format!("http://{address}/")).call().unwrap();
    assert_eq!(
        (answer.status(), listener.served()),
        (ureq::http::StatusCode::OK, 1)
    );

    let silent = sandbox.listen_silent("127.50.0.3", 0);
    let address = format!("{}:{}", sandbox.address("127.50.0.3"), silent.port());
    let begun = Instant::now();
    let error =
        std::net::TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(150))
            .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_millis(140));
}

#[test]
fn the_record_tells_how_a_call_was_spawned() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .docker_with(&["ps"], |command| {
            command.env("DOCKER_HOST", "tcp://vch:2376")
        })
        .success();
    let call = sandbox.calls().pop().unwrap();
    assert_eq!(call.env["DOCKER_HOST"], "tcp://vch:2376");
    assert_eq!(call.pgid, call.parent_pgid);
    assert_eq!((call.change, call.line()), (None, "docker ps".to_owned()));
}

#[test]
fn a_fault_can_kill_the_caller() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.rule(json!({"when": ["network", "create"], "before": false, "kill_parent": 9}));
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "docker network create web-net; echo survived"])
        .env("PATH", sandbox.path("bin"))
        .env("FAKE_DOCKER_DIR", sandbox.path("docker"))
        .output()
        .unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(9)
    );
    // The call itself goes on to its end.
    sandbox.wait_until("the call's end", || {
        sandbox.calls().pop().filter(|call| call.code == Some(0))
    });
    assert_eq!(sandbox.networks(), ["web-net"]);
}

#[test]
fn a_broken_template_and_a_missing_port_are_errors() {
    let sandbox = Sandbox::new(Flavor::Engine);
    docker(&sandbox, "run -d --name web-1 httpd").success();
    docker(&sandbox, "inspect -f '{{.Name' web-1")
        .code(64)
        .stderr_has("template parsing error");
    docker(&sandbox, "inspect -f '{{.Nope}}' web-1")
        .code(1)
        .stderr_has("map has no entry for key \"Nope\"");
    docker(&sandbox, "port web-1 80")
        .code(1)
        .stderr_has("No public port '80/tcp' published for web-1");
    docker(&sandbox, "ps --format '{{.Names}}\\t{{.State}}'").stdout("web-1\trunning\n");
    docker(&sandbox, "ps --filter name=*x")
        .code(1)
        .stderr_has("error parsing regexp");
    docker(&sandbox, "exec web-1 nope")
        .code(127)
        .stdout_has("executable file not found in $PATH");
    docker(&sandbox, "wait nope")
        .code(1)
        .stderr_has("No such container: nope");
}
