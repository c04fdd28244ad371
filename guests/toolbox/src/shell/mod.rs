//! A small `sh`: words, quotes, variables, `$()`, `$(())`, pipes, `&&`, `||`, `;`, redirections,
//! here-documents, `if`, `for`, `while`, `until`, `case`, functions, `trap`. Applets run inside it,
//! one after the other: WASI cannot spawn, so there are no background jobs.
//!
//! - `tokens`, `parse`: from text to commands
//! - `words`: from words as written to words as commands see them
//! - `arithmetic`: `$(( ))`
//! - `run`: running commands
//! - `builtin`: what the shell itself does

mod arithmetic;
mod builtin;
mod parse;
mod run;
mod tokens;
mod words;

use std::fs;
use std::io::{IsTerminal, Write};

use crate::io::{Io, Source};
use parse::parse;
use run::Shell;
use tokens::Fault;

pub use words::split;

/// Whether a text fits a pattern of `*`, `?` and `[...]`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<(char, bool)> = pattern.chars().map(|c| (c, false)).collect();
    words::fits(&pattern, &text.chars().collect::<Vec<_>>())
}

/// The folder we are in.
pub fn here() -> String {
    std::env::current_dir().map_or_else(|_| "/".into(), |p| p.display().to_string())
}

/// `sh [-ex] [-c TEXT [NAME ARG...] | FILE ARG... ]`, or lines from standard input.
pub fn main(words: &[String], io: &mut Io) -> i32 {
    let mut shell = Shell::new(io);
    let (mut words, mut command) = (words, false);
    while let [first, rest @ ..] = words {
        let Some(flags) = first.strip_prefix('-').filter(|f| !f.is_empty()) else { break };
        for flag in flags.chars() {
            match flag {
                'c' => command = true,
                'i' | 'l' | 's' => {}
                flag => {
                    if let Err(why) = shell.option(flag, true) {
                        let _nobody_reads = writeln!(
                            io.err,
                            "sh: {why}\nusage: sh [-eux] [-c TEXT | FILE] [ARG...]"
                        );
                        return 2;
                    }
                }
            }
        }
        words = rest;
    }
    match words {
        [] if command => {
            let _nobody_reads = writeln!(io.err, "sh: -c needs a text");
            return 2;
        }
        [text, rest @ ..] if command => {
            shell.arguments = rest.get(1..).unwrap_or_default().to_vec();
            shell.name = rest.first().cloned().unwrap_or_else(|| "sh".into());
            shell.source(text, io);
        }
        [file, rest @ ..] => match fs::read_to_string(file) {
            Ok(text) => {
                (shell.name, shell.arguments) = (file.clone(), rest.to_vec());
                shell.source(&text, io);
            }
            Err(error) => {
                let _nobody_reads = writeln!(io.err, "sh: {file}: {error}");
                return 127;
            }
        },
        [] => lines(&mut shell, io),
    }
    shell.leave(io)
}

/// Runs what comes on standard input, line by line.
fn lines(shell: &mut Shell, io: &mut Io) {
    let asks = matches!(io.input, Source::Stdin) && std::io::stdin().is_terminal();
    let mut text = String::new();
    loop {
        if asks {
            let prompt = if text.is_empty() { format!("{} # ", here()) } else { "> ".into() };
            let _nobody_reads = io.err.write_all(prompt.as_bytes()).and_then(|()| io.err.flush());
        }
        let Ok(Some(line)) = io.read_line() else { break };
        text.push_str(&line);
        text.push('\n');
        // A construct that is not finished yet goes on in the next line.
        if let Err(Fault::Unfinished) = parse(&text) {
            continue;
        }
        shell.source(&std::mem::take(&mut text), io);
        let _closed = io.out.flush();
        if shell.is_over() {
            return;
        }
    }
    if !text.is_empty() {
        shell.source(&text, io);
    }
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, ran};

    /// The current folder is the whole process's: one test at a time.
    static FOLDER: std::sync::Mutex<()> = std::sync::Mutex::new(());

    fn sh(text: &str) -> (String, i32) {
        let _alone = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (status, out, err) = ran(&["sh", "-c", text, "name", "one", "two words"], "in1\nin2\n");
        (format!("{out}{err}"), status)
    }

    #[track_caller]
    fn says(text: &str, wanted: &str) {
        assert_eq!(sh(text), (wanted.to_owned(), 0), "{text}");
    }

    #[test]
    fn words_and_variables() {
        says("echo a 'b  c' \"d $X\"", "a b  c d \n");
        says("X=5; echo $X ${Y:-no} ${X:+yes} ${#X}", "5 no yes 1\n");
        says("X='a  b'; echo $X; echo \"$X\"", "a b\na  b\n");
        says("X='a b'; for w in x$X'y z'; do echo \"[$w]\"; done", "[xa]\n[by z]\n");
        says("echo $0 $1 $# \"$2\"; shift; echo $1", "name one 2 two words\ntwo words\n");
        says("for a in \"$@\"; do echo \"[$a]\"; done", "[one]\n[two words]\n");
        says("for a in $@; do echo \"[$a]\"; done", "[one]\n[two]\n[words]\n");
        says("set -- a b; echo $2 $*", "b a b\n");
        says("echo \"\" '' | wc -c", "2\n");
        says("echo \\$X \"\\$X \\\" \\a\"", "$X $X \" \\a\n");
        says(
            "F=/a/b.tar.gz; echo ${F%.*} ${F%%.*} ${F#*/} ${F##*/}",
            "/a/b.tar /a/b a/b.tar.gz b.tar.gz\n",
        );
        says(": ${A:=set}; echo $A", "set\n");
        says("X=1 env | grep X; echo \"[$X]\"", "X=1\n[]\n");
        says("X=1; export X; env | grep ^X; unset X; echo \"[$X]\"", "X=1\n[]\n");
        says("echo a#b # comment", "a#b\n");
        says("X=$(echo a; echo b); echo \"$X\"; echo `echo c`", "a\nb\nc\n");
        says("echo $(echo \"$(echo ')' inner)\")", ") inner\n");
        says("echo $((1 + 2 * 3)) $(( $# * 2 ))", "7 4\n");
        says("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i", "3\n");
        says("HOME=/h; echo ~/x ~", "/h/x /h\n");
        assert_eq!(sh("echo ${X:?is needed}; echo no"), ("sh: X: is needed\n".into(), 1));
        assert_eq!(sh("set -u; echo $NOPE"), ("sh: NOPE: parameter not set\n".into(), 1));
    }

    #[test]
    fn lists_and_status() {
        says("false && echo no || echo yes", "yes\n");
        says("true; echo $?; false; echo $?", "0\n1\n");
        says("! false && echo ok", "ok\n");
        says("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n");
        says("if false; then echo a; fi; echo $?", "0\n");
        says("(exit 3); echo $?", "3\n");
        says("(X=1; cd /); echo \"[$X]\"", "[]\n");
        says("{ echo a; echo b; } | wc -l", "2\n");
        assert_eq!(sh("exit 3; echo no"), (String::new(), 3));
        assert_eq!(sh("nosuch"), ("nosuch: not found\n".into(), 127));
        assert_eq!(sh("set -e; false; echo no"), (String::new(), 1));
        says("set -e; if false; then :; fi; false || true; echo on", "on\n");
        assert_eq!(sh("echo 'a").1, 2);
        assert_eq!(sh("echo a & echo b").1, 2);
        assert_eq!(sh("seq 3 | grep -q 5; exit $?").1, 1);
    }

    #[test]
    fn loops_cases_and_functions() {
        says("for i in 1 2; do echo n$i; done", "n1\nn2\n");
        says("for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done", "1\n3\n");
        says("for i in 1 2; do for j in a b; do break 2; done; echo no; done; echo end", "end\n");
        says("until [ -n \"$X\" ]; do X=1; echo once; done", "once\n");
        says("while read line; do echo \"<$line>\"; done", "<in1>\n<in2>\n");
        says("printf 'a b c\\n' | { read x y; echo $y; }", "b c\n");
        says("case abc in x) echo no;; a*|y) echo yes;; *) echo other;; esac", "yes\n");
        says("case \"*\" in '*') echo star;; esac", "star\n");
        says("f() { echo $1 $#; return 4; }; f x y; echo $?", "x 2\n4\n");
        says("f() { local v=1; echo $v; }; f; echo $1", "1\none\n");
        assert!(sh("f() { f; }; f").0.contains("too deeply"));
    }

    #[test]
    fn redirections() {
        let dir = folder("sh");
        let says = |text: &str, wanted: &str| says(&format!("cd {dir}; {text}"), wanted);
        says("echo a > f; echo b >> f; cat < f", "a\nb\n");
        says("cat nosuch 2> err; cat err", "cat: nosuch: No such file or directory\n");
        says("cat nosuch 2>&1 | tr a-z A-Z", "CAT: NOSUCH: NO SUCH FILE OR DIRECTORY\n");
        says("{ echo out; echo err >&2; } > both 2>&1; wc -l < both", "2\n");
        says("cat nosuch > /dev/null 2>&1 || echo failed", "failed\n");
        says("X=v; cat <<E\na $X $(echo c) \"q\"\nE\n", "a v c \"q\"\n");
        says("cat <<'E' | wc -l\n$X\n`x`\nE\n", "2\n");
        says("while read l; do echo -$l; done < f", "-a\n-b\n");
        says(
            "touch x.log y.log .z.log; echo *.log [xy].log; echo '*'.log none*",
            "x.log y.log x.log y.log\n*.log none*\n",
        );
        says(
            "mkdir -p d/e; touch d/e/f; echo d/*/f; pwd; cd d; cd ..; cd -",
            &format!("d/e/f\n{dir}\n{dir}/d\n"),
        );
        assert_eq!(sh(&format!("cd {dir}; > f; cat f; echo x > no/such/file; echo $?")).1, 0);
        std::fs::write(format!("{dir}/s.sh"), "echo $0 $1\nexit 7\n").unwrap();
        assert_eq!(
            ran(&["sh", &format!("{dir}/s.sh"), "arg"], ""),
            (7, format!("{dir}/s.sh arg\n"), String::new())
        );
        says("echo 'V=9' > v; . ./v; echo $V; eval 'W=$V'; echo $W", "9\n9\n");
    }

    #[test]
    fn from_standard_input() {
        let (status, out, err) = ran(
            &["sh"],
            "echo a\nif true\nthen echo b\nfi\nread x\nvalue\necho $x\nexit 5\necho no\n",
        );
        assert_eq!((status, out.as_str(), err.as_str()), (5, "a\nb\nvalue\n", ""));
        assert_eq!(ran(&["sh", "-q"], "").0, 2);
        assert_eq!(ran(&["sh", "/no/such"], "").0, 127);
    }

    #[test]
    fn traps_and_the_rest() {
        says("trap 'echo bye' EXIT; echo hi", "hi\nbye\n");
        assert_eq!(sh("trap 'echo bye' EXIT; exit 2"), ("bye\n".into(), 2));
        says("command -v ls; type cd > /dev/null && echo known", "/bin/ls\nknown\n");
        says("yes | head -n 2", "y\ny\n");
        says("echo a b | xargs -n1 echo x", "x a\nx b\n");
        says("exec echo gone; echo no", "gone\n");
    }
}
