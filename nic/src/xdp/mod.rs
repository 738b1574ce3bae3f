//! AF_XDP: rings by xsk-rs, the steering XDP program and its loader.
