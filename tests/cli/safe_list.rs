//! The calls that the tool may make, each with the reason why it is safe on a VCH (API 1.25). Whatever a scenario's tool
//! or script called docker with is held against this list when its sandbox is dropped: a call that is not on it fails
//! the scenario. A new call is looked up in what a VCH can do first, then put here, then used.
//!
//! What is missing is missing on purpose: `network disconnect`, `top`, `pause`, `update` (not implemented); `wait` (ends
//! after 3 minutes); `events` (knows no networks); `--restart`, `--health-*`, `--cpus`, `--ulimit`, `--log-*` (taken and
//! ignored); `ps --filter ancestor`, `health` (refused); a second `--net` (refused: create, then connect).

/// Words as they stand, or what may stand in a place:
/// `NAME` a container's or network's name, `NAMES` one or more of them to the end, `IMAGE`, `PORT`, `NUMBER`, `HOST` (what
/// an endpoint is called), `TIME` (RFC 3339), `TEXT` anything that is no option, `PATH` a local path, `IN:PATH` one in a
/// container, `RELOAD` what sends HUP from inside, `LOCK` what holds the service's lock, `PUBLISH*` any number of `-p PORT:PORT` (with an address in front by LB_ARGS), `GIVEN*` any number of
/// [`GIVEN`] each with its value, `WORDS*` whatever stands to the end.
const SAFE: &[(&str, &str)] = &[
    // Reading.
    (
        "info --format TEXT",
        "answers as an engine does; Driver and ID tell a VCH from one",
    ),
    (
        "version --format TEXT",
        "works; tells API 1.25, and VIC's own version",
    ),
    (
        "context inspect --format TEXT",
        "asks the client only; one that does not know it is done without",
    ),
    (
        "network inspect NAME",
        "works; its addresses as `FIRST-LAST`, or none at all where they come by DHCP",
    ),
    (
        "network inspect NAME NAME",
        "works; only `Containers` is incomplete, and is read only to count addresses in use",
    ),
    (
        "network ls --format {{.Name}}",
        "works; the names alone are reliable",
    ),
    (
        "network ls --no-trunc --filter name=NAME --format {{.ID}}/{{.Name}}",
        "name is a regular expression; only asked where an engine says that a name is ambiguous",
    ),
    (
        "network ls --format {{.Driver}}/{{.Name}}",
        "works; the driver of a container network is `external`",
    ),
    (
        "ps -a --no-trunc --filter name=TEXT --format {{.ID}}/{{.Names}}",
        "name is a regular expression on both; without a slash, which a VCH never matches",
    ),
    (
        "ps -a --no-trunc --filter network=NAME --format {{.Names}}",
        "the filter works; the column Networks would be empty",
    ),
    (
        "ps --format {{.Names}}/{{.Ports}}",
        "asked of an engine alone, before a load balancer is made that publishes ports",
    ),
    (
        "inspect --type container --format TEXT NAMES",
        "works; what a VCH leaves empty is read as not known",
    ),
    (
        "inspect -f TEXT NAME",
        "the script's own question for the address; the top-level IPAddress would be empty",
    ),
    (
        "image inspect --format TEXT IMAGE IMAGE",
        "of an engine only: whether a VCH takes IDs is not known",
    ),
    (
        "image inspect --format TEXT IMAGE",
        "works; the ID with or without `sha256:`",
    ),
    (
        "logs --tail NUMBER NAME",
        "works; both streams come on stdout, and a failed read is an empty log",
    ),
    (
        "logs -t --tail NUMBER NAME",
        "works; the times are the endpoint's own",
    ),
    (
        "logs -t --since TIME NAME",
        "works, rounded to seconds: what is too early is dropped after reading",
    ),
    ("logs -t --tail LINES NAME", "works; `all` is known, too"),
    (
        "logs -t --tail LINES --since TEXT NAME",
        "works; a span is made a time by the client, and rounded to seconds",
    ),
    (
        "logs -f --tail LINES NAME",
        "works; polled about once a second, and ends when the container stops",
    ),
    (
        "logs -f -t --tail LINES NAME",
        "the same with the endpoint's times",
    ),
    (
        "cp IN:PATH -",
        "works on a container that is stopped, too; read back to verify a copy",
    ),
    (
        "exec NAME haproxy -c -V -f PATH",
        "works from 1.2 on, takes seconds; never needed, only helps",
    ),
    (
        "exec -u 0 NAME rm -f PATH",
        "the same; where it fails the file is emptied by a copy",
    ),
    (
        "exec NAME sh -c ASK vch-lb NUMBER QUESTION COUNTS KEYS*",
        "the same; it may exit with 0 without having run, so that the answer's last line counts",
    ),
    (
        "exec -i NAME sh -c LOCK vch-lb TEXT",
        "not called on a VCH, where an exec takes seconds and its stdin may end early",
    ),
    (
        "exec NAME cat PATH PATH",
        "the same; only asked where it is in doubt who answers, and without an answer nothing is claimed",
    ),
    (
        "images --format {{.Repository}}:{{.Tag}} IMAGE",
        "works, with the filter; on the way down, for the names that keep images",
    ),
    // Making: the script's calls.
    ("pull IMAGE", "works where the registry serves schema 1"),
    (
        "network create NAME",
        "a bridge network, the only kind that can be made",
    ),
    (
        "run -d -p PORT --name NAME --net NAME GIVEN* IMAGE WORDS*",
        "the script's call, with what the admin adds; one network, one port",
    ),
    (
        "create --name NAME --net NAME PUBLISH* GIVEN* IMAGE",
        "one network at creation; -p PORT:PORT opens the firewall of a container network",
    ),
    (
        "network connect NAME NAME",
        "works before the first start only, which is when it is used",
    ),
    (
        "cp PATH IN:PATH",
        "works; into a running container it may arrive cut short, so it is read back",
    ),
    (
        "restart NAME",
        "only where an engine's restart policy has the load balancer in its hands, which a VCH never has",
    ),
    (
        "start NAMES",
        "works; may take 3 minutes, which is below --timeout",
    ),
    // Changing and removing.
    (
        "tag IMAGE IMAGE",
        "works, with an ID, too; where it fails the image is not kept, and that is said",
    ),
    (
        "rmi IMAGES",
        "works; names of the tool's own alone, which all begin with vch-lb/",
    ),
    (
        "cp - IN:PATH",
        "works; the file from before goes back this way",
    ),
    (
        "kill -s HUP NAME",
        "works; its exit code says nothing, so the log is read",
    ),
    (
        "kill -s TERM NAME",
        "works; HAProxy 1.7's wrapper ignores the image's stop signal",
    ),
    (
        "exec NAME sh -c RELOAD",
        "only where an engine starts the load balancer again by itself, which a VCH never does",
    ),
    (
        "stop -t NUMBER NAMES",
        "works with at least 1: a VCH takes 0 for 10",
    ),
    (
        "rm -f -v NAMES",
        "works; of an instance on a VCH only after `stop`, which frees its address",
    ),
    (
        "network rm NAME",
        "works once nobody is on it, also nobody who is stopped",
    ),
    (
        "rename NAME NAME",
        "works from 1.1 on; names in DNS follow from 1.5.2 on, and the load balancer's own is not used",
    ),
];

/// What an admin adds in these scenarios. On an endpoint of theirs they may add what they like.
const GIVEN: &[(&str, &str)] = &[
    ("--env", "works"),
    (
        "--restart",
        "taken and ignored: only an engine starts again what has ended",
    ),
    ("--env-file", "works: the client reads it"),
    ("--volume", "works with named volumes of a volume store"),
    ("--hostname", "works from 1.3 on"),
    ("--memory", "works; at least 512 MB, by steps of 128 MB"),
    (
        "--label",
        "works; shown by inspect from 1.5.3 on, and an instance without one is as the script makes it",
    ),
];

/// Why a call is not safe, if it is not.
pub(crate) fn verdict(argv: &[String]) -> Result<(), String> {
    let words = globals(argv)?;
    if SAFE
        .iter()
        .any(|(shape, _)| fits(&shape.split(' ').collect::<Vec<_>>(), words))
    {
        return Ok(());
    }
    Err(format!(
        "not on the list of safe calls: docker {}",
        shell_words::join(argv)
    ))
}

/// The words behind the client's own options.
fn globals(argv: &[String]) -> Result<&[String], String> {
    match argv {
        [option, value, rest @ ..] if ["-H", "--context"].contains(&option.as_str()) => {
            if value.is_empty() || value.starts_with('-') {
                return Err(format!("{option} is given `{value}`"));
            }
            globals(rest)
        }
        _ => Ok(argv),
    }
}

fn fits(shape: &[&str], words: &[String]) -> bool {
    let (Some(&first), rest) = (shape.first(), shape.get(1..).unwrap_or_default()) else {
        return words.is_empty();
    };
    match first {
        "IMAGES" => !words.is_empty() && words.iter().all(|word| word.starts_with("vch-lb/")),
        "NAMES" => !words.is_empty() && words.iter().all(|word| is_name(word)),
        "PUBLISH*" => {
            let published = match words {
                [option, ports, after @ ..] if option == "-p" => ports
                    .rsplit_once(':')
                    .map(|(outside, inside)| {
                        (outside.rsplit(':').next().unwrap_or(outside), inside)
                    })
                    .filter(|(outside, inside)| is_port(outside) && is_port(inside))
                    .map(|_| after),
                _ => None,
            };
            published.is_some_and(|after| fits(shape, after)) || fits(rest, words)
        }
        "GIVEN*" => {
            let given = match words {
                [option, _, after @ ..] if GIVEN.iter().any(|(known, _)| known == option) => {
                    Some(after)
                }
                _ => None,
            };
            given.is_some_and(|after| fits(shape, after)) || fits(rest, words)
        }
        "WORDS*" => true,
        "KEYS*" => words
            .iter()
            .all(|word| word.chars().all(|c| c.is_ascii_digit() || c == '/')),
        _ => words
            .split_first()
            .is_some_and(|(word, after)| stands_for(first, word) && fits(rest, after)),
    }
}

fn stands_for(place: &str, word: &str) -> bool {
    if let Some((key, place)) = place.split_once('=') {
        return word
            .split_once('=')
            .is_some_and(|(given, value)| given == key && stands_for(place, value));
    }
    match place {
        "NAME" => is_name(word),
        "IMAGE" => {
            !word.is_empty()
                && !word.starts_with('-')
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-/:@[]".contains(c))
        }
        "PORT" => is_port(word),
        "NUMBER" => word.parse::<u32>().is_ok_and(|number| number > 0),
        "LINES" => word == "all" || word.parse::<u32>().is_ok_and(|number| number > 0),
        "TIME" => word.starts_with("20") && word.contains('T') && word.ends_with('Z'),
        "RELOAD" => word == "kill -HUP 1",
        "TEXT" | "PATH" => !word.is_empty() && !word.starts_with('-'),
        "QUESTION" => ["show info", "show info;show stat"].contains(&word),
        "COUNTS" => ["-", "open"].contains(&word),
        "LOCK" => word == include_str!("../../src/change/lock.sh"),
        "ASK" => word == include_str!("../../src/haproxy/ask.sh"),
        "IN:PATH" => word
            .split_once(':')
            .is_some_and(|(name, path)| is_name(name) && path.starts_with('/')),
        literal => word == literal,
    }
}

fn is_name(word: &str) -> bool {
    word.len() >= 2
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_port(word: &str) -> bool {
    word.parse::<u16>().is_ok_and(|port| port > 0)
}

#[test]
fn the_list_takes_what_it_should_and_nothing_else() {
    let verdict = |line: &str| verdict(&shell_words::split(line).unwrap());
    for line in [
        "pull httpd",
        "-H tcp://vch:2376 pull registry:5000/a/b:c",
        "--context vch start lb",
        "create --name lb --net routable haproxy:1.7",
        "create --name lb --net routable -p 80:80 -p 9000:9000 haproxy:1.7",
        "rm -f -v web-1 web-2",
        "run -d -p 80 --name web-1 --net web-net --env 'A=1 2' --label 'vch-lb=1 --env' httpd sh -c 'sleep 1'",
        "create --name lb --net routable -p 80:80 --hostname front haproxy:1.7",
        "logs -f --tail all web-1",
        "cp lb:/usr/local/etc/haproxy/haproxy.cfg -",
        "image inspect --format '{\"Id\":{{json .ID}}}' httpd",
        "ps -a --no-trunc --filter 'name=^(web-[0-9]+|lb)$' --format '{{.ID}}/{{.Names}}'",
    ] {
        assert_eq!(verdict(line), Ok(()), "{line}");
    }
    for line in [
        "",
        "top lb",
        "network disconnect web-net lb",
        "update lb",
        "wait lb",
        "ps --filter ancestor=httpd",
        "run -d --restart always -p 80 --name web-1 --net web-net httpd",
        "run -d -p 80 --name web-1 --net web-net --net other httpd",
        "run -d -p 80 --name web-1 --net web-net -v",
        "run -d -p 80 --name web-1 --net web-net --env",
        "logs -f lb --until 1m",
        "stop -t 0 lb",
        "start -a lb",
        "start",
        "-H --debug pull httpd",
        "rm -f -v",
        "kill lb",
    ] {
        assert!(verdict(line).is_err(), "{line}");
    }
}
