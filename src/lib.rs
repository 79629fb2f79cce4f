//! `vch-lb`: N instances of a container image behind HAProxy, on whatever endpoint the docker client points at.
