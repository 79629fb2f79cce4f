//! How far a `docker pull` is, from the lines that it prints where its stdout is no terminal. Pure.

use std::collections::BTreeMap;

/// The longest line that is looked at: docker's are far shorter.
const LINE: usize = 4096;

/// How many of an image's layers are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    pub there: usize,
    pub of: usize,
}

/// The lines of one pull so far.
#[derive(Debug, Default)]
pub struct PullLines {
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    /// Whether each layer that was named is there.
    layers: BTreeMap<String, bool>,
}

impl PullLines {
    /// Takes in what came; something is said if it told of a layer.
    pub fn read(&mut self, chunk: &[u8]) -> Option<Layers> {
        let mut told = false;
        for &byte in chunk {
            if byte == b'\n' {
                told |= self.line();
                self.rest.clear();
            } else if self.rest.len() < LINE {
                self.rest.push(byte);
            }
        }
        told.then(|| Layers {
            there: self.layers.values().filter(|there| **there).count(),
            of: self.layers.len(),
        })
    }

    /// Whether the line tells of a layer: `21e5545e12b1: Pull complete`.
    fn line(&mut self) -> bool {
        let line = String::from_utf8_lossy(&self.rest);
        let Some((layer, said)) = line.trim_end().split_once(": ") else {
            return false;
        };
        let is_layer = layer.len() == 12 && layer.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_layer {
            let there = ["Pull complete", "Already exists"].contains(&said);
            *self.layers.entry(layer.to_owned()).or_default() |= there;
        }
        is_layer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client printed into a pipe.
    const PULL: &str = "\
1.7: Pulling from library/haproxy
21e5545e12b1: Already exists
3837dd0a7a14: Pulling fs layer
4c1b2d3e4f50: Pulling fs layer
3837dd0a7a14: Waiting
4c1b2d3e4f50: Verifying Checksum
4c1b2d3e4f50: Download complete
3837dd0a7a14: Retrying in 5 seconds
3837dd0a7a14: Download complete
3837dd0a7a14: Pull complete
4c1b2d3e4f50: Pull complete
Digest: sha256:e3276d86ada319db1467941226c78afb351e6523a0917bd80a398831a9ee450c
Status: Downloaded newer image for haproxy:1.7
docker.io/library/haproxy:1.7
";

    #[test]
    fn layers_are_counted_as_they_arrive() {
        let mut pull = PullLines::default();
        let said: Vec<Option<(usize, usize)>> = PULL
            .split_inclusive('\n')
            .map(|line| {
                pull.read(line.as_bytes())
                    .map(|layers| (layers.there, layers.of))
            })
            .collect();
        let layers = [
            (1, 1),
            (1, 2),
            (1, 3),
            (1, 3),
            (1, 3),
            (1, 3),
            (1, 3),
            (1, 3),
            (2, 3),
            (3, 3),
        ];
        assert_eq!(said[0], None);
        assert_eq!(said[1..11], layers.map(Some));
        assert_eq!(said[11..], [None; 3]);
    }

    #[test]
    fn it_does_not_matter_how_the_lines_are_cut() {
        for size in [1, 7, 64, 4096] {
            let mut pull = PullLines::default();
            let said = PULL.as_bytes().chunks(size).map(|chunk| pull.read(chunk));
            let last = said.flatten().last();
            assert_eq!(last, Some(Layers { there: 3, of: 3 }), "{size}");
        }
    }

    #[test]
    fn other_lines_tell_nothing() {
        for line in [
            "Using default tag: latest\n",
            "latest: Pulling from library/httpd\n",
            "sha256:21e5545e12b1: Pull complete\n",
            "21e5545e12bx: Pull complete\n",
            "21e5545e12b1: Pull complete",
            "21e5545e12b1\n",
            "Error response from daemon: no\n",
            "\r\n",
        ] {
            assert_eq!(PullLines::default().read(line.as_bytes()), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_or_fill_the_memory(chunks: Vec<Vec<u8>>) {
            let mut pull = PullLines::default();
            for chunk in chunks {
                if let Some(Layers { there, of }) = pull.read(&chunk) {
                    assert!(there <= of);
                }
            }
            assert!(pull.rest.len() <= LINE);
        }
    }
}
