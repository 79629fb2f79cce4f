use super::*;
use crate::settings::file::Assignments;

/// The script as it was.
const SCRIPT: &str = r#"#!/bin/bash
INSTANCE_IMG=httpd
NUM_INSTANCES=3
INSTANCE_PORT=80
LB_PORT=80
INSTANCE_CTR_PREFIX=web
LB_CTR_NAME=lb
EXTERNAL_NET=routable

echo -e global'\n'\
'\t'maxconn\ 256'\n'\
'\t'log\ 127.0.0.1:514\ local0'\n'\
defaults'\n'\
'\t'mode\ http'\n'\
'\t'timeout\ connect\ 5000ms'\n'\
'\t'timeout\ client\ 50000ms'\n'\
'\t'timeout\ server\ 5000ms'\n'\
'\t'log\ global'\n'\
frontend\ http-in'\n'\
'\t'bind\ \*:$LB_PORT'\n'\
'\t'default_backend\ servers'\n'\
backend\ servers > haproxy.cfg
docker pull $INSTANCE_IMG
docker pull haproxy:1.7
docker network create $INSTANCE_CTR_PREFIX-net
for i in $(seq "${NUM_INSTANCES}"); do
  docker run -d -p $INSTANCE_PORT --name $INSTANCE_CTR_PREFIX-${i} --net $INSTANCE_CTR_PREFIX-net $INSTANCE_IMG
  echo -e '\t'server\ server${i}\ $INSTANCE_CTR_PREFIX-${i}:$INSTANCE_PORT\ maxconn\ 32 >> haproxy.cfg
done
docker create --name $LB_CTR_NAME --net $EXTERNAL_NET haproxy:1.7
docker network connect $INSTANCE_CTR_PREFIX-net $LB_CTR_NAME
docker cp haproxy.cfg $LB_CTR_NAME:/usr/local/etc/haproxy/haproxy.cfg
docker start $LB_CTR_NAME
echo -e '\n'Service\ is\ available\ at
docker inspect -f "{{ .NetworkSettings.Networks.$EXTERNAL_NET.IPAddress}}" $LB_CTR_NAME
echo -e on\ port\ $LB_PORT
"#;

/// The same file by a here-document.
const HERE: &str = r"#!/bin/bash
LB_PORT=8080
{
cat <<END
global
	maxconn 256
	log 127.0.0.1:514 local0
defaults
	mode http
	timeout connect 5000ms
	timeout client 50000ms
	timeout server 5000ms
	log global
frontend http-in
	bind *:$LB_PORT
	default_backend servers
backend servers
END
for i in 1 2 3; do
  printf '\tserver server%s web-%s:80 maxconn 32\n' $i $i
done
} > haproxy.cfg
";

fn of(text: &str, given: &[(&str, &str)], endpoint: Option<Named<'_>>) -> Told {
    let file = Assignments::parse("lb.sh", text).unwrap();
    let flag = |name: &str| {
        let mut given = given.iter();
        let found = given.find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let settings = Settings::resolve(flag, |_| None, &file);
    let beside = Beside {
        endpoint,
        environment: &|_| false,
    };
    told(&file, &settings, beside)
}

/// The lines of the refusal.
fn refused(text: &str) -> Vec<String> {
    let refusal = of(text, &[], None).refusal.unwrap_or_default();
    let lines = refusal.lines().skip(1);
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_script_as_it_was_says_nothing_beyond_its_settings() {
    for text in [SCRIPT, HERE, "LB_PORT=80\n", "#!/bin/sh\nLB_PORT=80\n"] {
        assert_eq!(told_of_lines(text), [""; 0], "{text}");
    }
    let values = SCRIPT
        .replace("LB_PORT=80", "LB_PORT=8080")
        .replace("INSTANCE_CTR_PREFIX=web", "INSTANCE_CTR_PREFIX=api")
        .replace("INSTANCE_IMG=httpd", "INSTANCE_IMG=nginx:1");
    assert_eq!(told_of_lines(&values), [""; 0]);
}

/// All that is told, refusals and warnings.
fn told_of_lines(text: &str) -> Vec<String> {
    let warnings = of(text, &[], None).warnings;
    [refused(text), warnings].concat()
}

#[test]
fn each_edit_is_told_with_its_line_and_the_setting_that_says_it() {
    for (from, to, told) in [
        (
            "docker run -d",
            "docker run -d -m 64m -e X --restart always",
            "line 27: `-m 64m -e X --restart always`: INSTANCE_ARGS='-m 64m -e X --restart always'",
        ),
        (
            "docker run -d",
            "docker run -d -e DB_PASSWORD=secret",
            "line 27: `-e DB_PASSWORD=***`: INSTANCE_ARGS='-e DB_PASSWORD=***' (*** stands for the value on that line)",
        ),
        (
            "-net $INSTANCE_IMG",
            "-net $INSTANCE_IMG httpd -X",
            "line 27: `httpd -X`: INSTANCE_CMD='httpd -X'",
        ),
        (
            "-net $INSTANCE_IMG",
            "-net nginx",
            "line 27: `nginx`: INSTANCE_IMG=nginx",
        ),
        (
            "docker create",
            "docker create --memory=1g -p 80:80 -p 8080:80",
            "line 30: `-p 80:80`: PUBLISH_LB=always|line 30: `--memory=1g -p 8080:80`: LB_ARGS='--memory=1g -p 8080:80'",
        ),
        (
            "haproxy:1.7",
            "haproxy:2.6",
            "line 24: `haproxy:2.6`: LB_IMG=haproxy:2.6",
        ),
        (
            "--net $EXTERNAL_NET",
            "--net dmz",
            "line 30: `--net dmz`: EXTERNAL_NET=dmz",
        ),
        (
            "client\\ 50000ms",
            "client\\ 1m",
            "line 16: `timeout client 1m`: LB_TIMEOUT_CLIENT=1m",
        ),
        (
            "maxconn\\ 256",
            "maxconn\\ 4096",
            "line 11: `maxconn 4096`: LB_MAXCONN=4096",
        ),
        (
            "maxconn\\ 32 ",
            "maxconn\\ 64\\ check ",
            "line 28: `server … maxconn 64`: INSTANCE_MAXCONN=64|line 28: `server … check`: HEALTH_CHECK=tcp",
        ),
        (
            "'\\t'log\\ global'\\n'\\\n",
            "'\\t'log\\ global'\\n'\\\n'\\t'option\\ httpchk\\ GET\\ /health'\\n'\\\n",
            "line 19: `option httpchk GET /health`: HEALTH_CHECK=http:/health",
        ),
        (
            "'\\t'log\\ global'\\n'\\\n",
            "'\\t'log\\ global'\\n'\\\n'\\t'option\\ redispatch'\\n'\\\n",
            "line 19: `option redispatch`: TEMPLATE=FILE",
        ),
        (
            "'\\t'timeout\\ connect\\ 5000ms'\\n'\\\n",
            "",
            "line 10: `without timeout connect`: TEMPLATE=FILE",
        ),
        (
            "mode\\ http'",
            "mode\\ tcp'",
            "line 14: `mode tcp`: LB_MODE=tcp",
        ),
        (
            "\necho -e global",
            "\nexport DOCKER_HOST=tcp://vch:2376\necho -e global",
            "line 10: `DOCKER_HOST=tcp://vch:2376`: --host tcp://vch:2376",
        ),
        (
            "docker start",
            "docker -H tcp://vch:2376 start",
            "line 33: `-H tcp://vch:2376`: --host tcp://vch:2376",
        ),
    ] {
        let edited = SCRIPT.replace(from, to);
        assert_ne!(edited, SCRIPT, "{from}");
        assert_eq!(refused(&edited).join("|"), told, "{to}");
    }
    let edited = HERE
        .replace("50000ms", "1m")
        .replace("maxconn 32", "maxconn 32 check");
    assert_eq!(
        refused(&edited),
        [
            "line 11: `timeout client 1m`: LB_TIMEOUT_CLIENT=1m",
            "line 20: `server … check`: HEALTH_CHECK=tcp",
        ]
    );
}

#[test]
fn what_no_setting_says_is_a_warning() {
    for (from, to, told) in [
        (
            "network create",
            "network create --subnet 10.9.0.0/16",
            "lb.sh, line 25: `network create --subnet 10.9.0.0/16 web-net`: no setting says that",
        ),
        (
            "docker run -d",
            "docker run -d --rm",
            "lb.sh, line 27: `--rm`: `--rm` can't be given",
        ),
        (
            "docker run -d",
            "docker run -dit",
            "lb.sh, line 27: `-i`: `-i` can't be given",
        ),
        (
            "docker start",
            "docker exec $LB_CTR_NAME true\ndocker start",
            "lb.sh, line 33: `exec lb true`: vch-lb does not do that",
        ),
        (
            "docker start",
            "docker run -d --name redis redis\ndocker start",
            "lb.sh, line 33: `docker run -d --name redis redis`: vch-lb makes no container but",
        ),
        (
            "docker start",
            "export DOCKER_TLS_VERIFY=1\ndocker start",
            "lb.sh, line 33: `DOCKER_TLS_VERIFY=1`: vch-lb gives docker its own environment",
        ),
    ] {
        let edited = of(&SCRIPT.replace(from, to), &[], None);
        assert_eq!(edited.refusal, None, "{to}");
        let first = edited.warnings.first().map_or("", String::as_str);
        assert!(first.starts_with(told), "{to}: {first}");
    }
}

#[test]
fn what_the_settings_answer_is_not_told_again() {
    let edited = SCRIPT.replace("docker run -d", "docker run -d -m 64m");
    for answer in [
        "INSTANCE_ARGS='-m 64m'",
        "INSTANCE_ARGS=",
        "INSTANCE_ARGS='-m 1g -u 0'",
    ] {
        let text = edited.replace("LB_PORT=80\n", &format!("LB_PORT=80\n{answer}\n"));
        assert_eq!(of(&text, &[], None), Told::default(), "{answer}");
    }
    let flag = [("INSTANCE_ARGS", "")];
    assert_eq!(of(&edited, &flag, None), Told::default());
    let elsewhere = SCRIPT.replace("docker start", "docker -H tcp://vch:2376 start");
    let named = |flag, value| {
        let by = "the environment";
        Some(Named { flag, value, by })
    };
    for same in ["tcp://vch:2376", "vch:2376"] {
        assert_eq!(of(&elsewhere, &[], named("--host", same)), Told::default());
    }
    for (flag, value) in [("--host", "tcp://lab:2376"), ("--context", "vch:2376")] {
        let other = of(&elsewhere, &[], named(flag, value));
        assert_eq!(other.refusal, None);
        assert_eq!(
            other.warnings,
            [format!(
                "lb.sh, line 33: `-H tcp://vch:2376`: the environment says {flag} {value}, and that is what counts"
            )]
        );
    }
    // The file's own INSTANCE_IMG is no answer to another image in its text.
    let image = SCRIPT.replace("-net $INSTANCE_IMG", "-net nginx");
    assert!(of(&image, &[], None).refusal.is_some());
    assert_eq!(
        of(&image, &[("INSTANCE_IMG", "nginx")], None),
        Told::default()
    );
}
