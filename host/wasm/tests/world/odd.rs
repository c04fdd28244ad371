//! Programs that no compiler would make.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A function that a module imports.
pub struct Import(
    pub &'static str,
    pub &'static str,
    pub &'static [ValType],
    pub &'static [ValType],
);

/// A module with these imports, one page of memory that begins with `data`, and one function
/// that runs `code` under the name `entry`. Function `i` is import `i`.
pub fn module(
    imports: &[Import],
    entry: &str,
    results: &[ValType],
    data: &[u8],
    code: &[Instruction<'_>],
) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imported = ImportSection::new();
    for (i, Import(module, name, params, results)) in imports.iter().enumerate() {
        types.ty().function(params.iter().copied(), results.iter().copied());
        imported.import(module, name, EntityType::Function(i as u32));
    }
    let n = imports.len() as u32;
    types.ty().function([], results.iter().copied());
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(n).function(n + 1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 8,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(65_536),
    );
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export(entry, ExportKind::Func, n);
    exports.export("cabi_realloc", ExportKind::Func, n + 1);
    let mut codes = CodeSection::new();
    let mut body = Function::new([(1, ValType::I32)]);
    for instruction in code {
        body.instruction(instruction);
    }
    body.instruction(&Instruction::End);
    codes.function(&body);
    // Memory for what the host hands over: each piece after the last, on multiples of 64 KiB.
    let mut realloc = Function::new([]);
    realloc
        .instruction(&Instruction::GlobalGet(0))
        .instruction(&Instruction::GlobalGet(0))
        .instruction(&Instruction::LocalGet(3))
        .instruction(&Instruction::I32Const(65_535))
        .instruction(&Instruction::I32Add)
        .instruction(&Instruction::I32Const(-65_536))
        .instruction(&Instruction::I32And)
        .instruction(&Instruction::I32Add)
        .instruction(&Instruction::GlobalSet(0))
        .instruction(&Instruction::End);
    codes.function(&realloc);
    let mut bytes = DataSection::new();
    bytes.active(0, &ConstExpr::i32_const(0), data.iter().copied());
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imported)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&codes)
        .section(&bytes);
    module.finish()
}

/// A module as a component of the world that `wit` describes (`world w`).
pub fn component(wit: &str, mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("odd.wit", wit).expect("the WIT is right");
    let world = resolve.select_world(&[package], Some("w")).expect("it has a world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).expect("a module");
    encoder.encode().expect("a component")
}
