//! What may run: components, modules of WASI 0.1, what they may ask for, and how the others are
//! turned away.

#[path = "world/odd.rs"]
mod odd;
mod world;

use std::time::Duration;

use odd::{Import, component, module};
use podlab_wasm::LoadError;
use podlab_wasm::container::Exit;
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType::I32, ValType::I64};
use world::{Run, Start, World, engine};

const P1: &str = "wasi_snapshot_preview1";

fn refused(wasm: &[u8]) -> LoadError {
    match engine().load(wasm) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

fn run_with(wasm: &[u8], start: Start<'_>) -> (Exit, Run) {
    let program = engine().load(wasm).expect("it can run");
    let mut world = World::new(1);
    let run = world.start_with(&program, &["odd"], start);
    let exit = world.until_exit(&run, Duration::from_secs(10));
    (exit, run)
}

fn run(wasm: &[u8]) -> (Exit, Run) {
    run_with(wasm, Start::default())
}

fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

#[test]
fn what_is_not_a_program_is_told_so() {
    for bytes in [
        &b"#!/bin/sh\necho hello\n"[..],
        b"",
        b"\0asm",
        b"\0asm\x01\0\0\0rubbish",
        b"\0asm\x0d\0\x01\0rubbish",
    ] {
        let message = refused(bytes).to_string();
        assert!(message.contains("not a WebAssembly component or module"), "{message}");
    }
    let big = vec![0; podlab_wasm::MAX_PROGRAM + 1];
    assert!(refused(&big).to_string().contains("67108865 bytes"));
}

#[test]
fn a_foreign_import_is_named() {
    let wit = "package t:t; package other:things { interface stuff { get: func() -> u32; } }
        world w { import other:things/stuff; }";
    let wasm = component(
        wit,
        module(&[Import("other:things/stuff", "get", &[], &[I32])], "unused", &[], &[], &[]),
    );
    let LoadError::Imports(names) = refused(&wasm) else { panic!("{}", refused(&wasm)) };
    assert_eq!(names, ["other:things/stuff"]);
    assert!(refused(&wasm).to_string().contains("other:things/stuff"));
    // WASI itself, but of a version and an interface that no world offers.
    for (package, name) in
        [("wasi:http@0.2.0", "wasi:http/types@0.2.0"), ("wasi:cli@0.3.0", "wasi:cli/stdout@0.3.0")]
    {
        let (interface, _) = name.split_once('@').unwrap();
        let (_, interface) = interface.split_once('/').unwrap();
        let wit = format!(
            "package t:t; package {package} {{ interface {interface} {{ get: func() -> u32; }} }} world w {{ import {name}; }}"
        );
        let imports = [Import(name.to_owned().leak(), "get", &[], &[I32])];
        let wasm = component(&wit, module(&imports, "unused", &[], &[], &[]));
        assert!(refused(&wasm).to_string().contains(name), "{}", refused(&wasm));
    }
    // The same for a module.
    let wasm = module(&[Import("env", "secret", &[], &[])], "_start", &[], &[], &[]);
    assert!(refused(&wasm).to_string().contains("env"), "{}", refused(&wasm));
}

#[test]
fn a_library_is_not_a_command() {
    let wasm = component(
        "package t:t; world w { export run: func(); }",
        module(&[], "run", &[], &[], &[]),
    );
    assert!(matches!(refused(&wasm), LoadError::NotACommand), "{}", refused(&wasm));
}

/// `iovs` at 0: one entry, the text at 16.
fn text_module(text: &[u8], code: &[I<'_>]) -> Vec<u8> {
    let mut data = vec![0; 16];
    data[0..4].copy_from_slice(&16u32.to_le_bytes());
    data[4..8].copy_from_slice(&(text.len() as u32).to_le_bytes());
    data.extend_from_slice(text);
    let imports = [
        Import(P1, "fd_write", &[I32, I32, I32, I32], &[I32]),
        Import(P1, "proc_exit", &[I32], &[]),
        Import(P1, "random_get", &[I32, I32], &[I32]),
        Import(P1, "fd_read", &[I32, I32, I32, I32], &[I32]),
    ];
    module(&imports, "_start", &[], &data, code)
}

#[test]
fn a_module_of_wasi_0_1_runs() {
    let write =
        [I::I32Const(1), I::I32Const(0), I::I32Const(1), I::I32Const(8), I::Call(0), I::Drop];
    let (exit, first) = run(&text_module(b"hello from 0.1\n", &write));
    assert_eq!((exit.code, first.text().as_str()), (0, "hello from 0.1\n"), "{exit:?}");
    let mut code = write.to_vec();
    code.extend([I::I32Const(1), I::Call(1)]);
    let (exit, run) = run(&text_module(b"bye\n", &code));
    assert_eq!((exit.code, exit.reason.as_str(), run.text().as_str()), (1, "Error", "bye\n"));
}

#[test]
fn memory_without_a_limit_ends_in_an_answer() {
    // Grows by nearly a GiB at once, then page by page until it is told no; exits then.
    let code = [
        I::I32Const(16_000),
        I::MemoryGrow(0),
        I::Drop,
        I::Loop(BlockType::Empty),
        I::I32Const(1),
        I::MemoryGrow(0),
        I::I32Const(-1),
        I::I32Ne,
        I::BrIf(0),
        I::End,
        I::I32Const(0),
        I::Call(1),
    ];
    let (exit, run) = run(&text_module(b"", &code));
    assert_eq!(exit.code, 0, "{exit:?}");
    assert!(run.container.memory() <= 1 << 30, "{}", run.container.memory());
}

const RANDOM: &str = "package t:t;
    package wasi:random@0.2.12 { interface random { get-random-bytes: func(len: u64) -> list<u8>; } }
    package wasi:cli@0.2.12 {
        interface run { run: func() -> result; }
        interface exit { exit-with-code: func(code: u8); }
        interface stdin { use wasi:io/streams@0.2.12.{input-stream}; get-stdin: func() -> input-stream; }
    }
    package wasi:io@0.2.12 {
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; }
        }
    }
    world w { import wasi:random/random@0.2.12; import wasi:cli/exit@0.2.12; import wasi:cli/stdin@0.2.12;
        import wasi:io/streams@0.2.12; export wasi:cli/run@0.2.12; }";

fn command(code: &[I<'_>]) -> Vec<u8> {
    let imports = [
        Import("wasi:random/random@0.2.12", "get-random-bytes", &[I64, I32], &[]),
        Import("wasi:cli/exit@0.2.12", "exit-with-code", &[I32], &[]),
        Import("wasi:cli/stdin@0.2.12", "get-stdin", &[], &[I32]),
        Import("wasi:io/streams@0.2.12", "[method]input-stream.read", &[I32, I64, I32], &[]),
    ];
    component(RANDOM, module(&imports, "wasi:cli/run@0.2.12#run", &[I32], &[], code))
}

#[test]
fn an_exit_code_of_its_own() {
    let (exit, _) = run(&command(&[I::I32Const(42), I::Call(1), I::I32Const(0)]));
    assert_eq!((exit.code, exit.reason.as_str()), (42, "Error"));
    let (exit, _) = run(&command(&[I::I32Const(1)]));
    assert_eq!((exit.code, exit.reason.as_str()), (1, "Error"), "run returned an error");
}

#[test]
fn huge_requests_cost_the_host_nothing() {
    // 2^40 random bytes.
    let (exit, _) =
        run(&command(&[I::I64Const(1 << 40), I::I32Const(0), I::Call(0), I::I32Const(0)]));
    assert_eq!(exit.code, 134, "{exit:?}");
    assert!(exit.message.contains("exceeds limit"), "{exit:?}");
    // A read of 2^60 bytes gives what is there: 3. The answer's length is at 8.
    let stdin = podlab_wasm::Stdin::open();
    stdin.push(b"abc");
    let code = [
        I::Call(2),
        I::I64Const(1 << 60),
        I::I32Const(0),
        I::Call(3),
        I::I32Const(0),
        I::I32Load(at(8)),
        I::Call(1),
        I::I32Const(0),
    ];
    let (exit, _) = run_with(&command(&code), Start { stdin, ..Start::default() });
    assert_eq!(exit.code, 3, "{exit:?}");
}

#[test]
fn a_full_disk_has_its_own_error() {
    // `path_open` of "full" in the first preopened directory, then `fd_write` to it until that
    // fails; exit code 0 if the error was ENOSPC (51 in WASI 0.1).
    let mut data = vec![0; 16];
    data[0..4].copy_from_slice(&4096u32.to_le_bytes());
    data[4..8].copy_from_slice(&16_384u32.to_le_bytes());
    data.extend_from_slice(b"full");
    let imports = [
        Import(P1, "fd_write", &[I32, I32, I32, I32], &[I32]),
        Import(P1, "proc_exit", &[I32], &[]),
        Import(P1, "path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32], &[I32]),
    ];
    let code = [
        I::I32Const(3),
        I::I32Const(0),
        I::I32Const(16),
        I::I32Const(4),
        I::I32Const(1), // create
        I::I64Const(-1),
        I::I64Const(-1),
        I::I32Const(0),
        I::I32Const(12),
        I::Call(2),
        I::LocalTee(0),
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::Loop(BlockType::Empty),
        I::I32Const(0),
        I::I32Load(at(12)),
        I::I32Const(0),
        I::I32Const(1),
        I::I32Const(8),
        I::Call(0),
        I::LocalTee(0),
        I::I32Eqz,
        I::BrIf(0),
        I::End,
        I::LocalGet(0),
        I::I32Const(51),
        I::I32Ne,
        I::Call(1),
    ];
    let wasm = module(&imports, "_start", &[], &data, &code);
    let (exit, run) = run_with(&wasm, Start { quota: Some(1 << 20), ..Start::default() });
    assert_eq!(exit.code, 0, "{exit:?}");
    assert!(run.root.used() <= 1 << 20);
}

#[test]
fn compiled_before_is_the_same_program() {
    let wasm = std::fs::read(world::guest("hostile")).expect("the guest was built");
    let code = engine().precompile(&wasm).expect("it compiles");
    let digest = |program: &podlab_wasm::Program| {
        let mut world = World::new(5);
        world.start(program, &["hostile", "pace"]);
        world.pass(Duration::from_secs(3));
        world.trace.digest()
    };
    let loaded = engine().load_precompiled(&code).expect("it loads");
    assert_eq!(digest(&loaded), digest(&world::program("hostile")));
    assert!(engine().load_precompiled(&wasm).is_err(), "what is not machine code is refused");
}
