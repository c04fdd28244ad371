//! Elastic tab stops, as Go's `text/tabwriter` sets them: a column is a run of lines that have a
//! cell there, and a cell is what a tab ends.

/// Aligns `text` with spaces; a column is at least `min` wide, `padding` included.
pub fn align(text: &str, min: usize, padding: usize) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let widths = widths(text, min, padding);
    for (line, widths) in text.split_inclusive('\n').zip(&widths) {
        write(&mut out, line, widths);
    }
    out
}

fn write(out: &mut String, line: &str, widths: &[usize]) {
    let (line, end) = match line.strip_suffix('\n') {
        Some(line) => (line, "\n"),
        None => (line, ""),
    };
    let mut cells = line.split('\t').peekable();
    let mut column = 0;
    while let Some(cell) = cells.next() {
        out.push_str(cell);
        if cells.peek().is_some() {
            let width = widths.get(column).copied().unwrap_or(0);
            let written = cell.chars().count();
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(written)));
        }
        column += 1;
    }
    out.push_str(end);
}

/// The widths of the columns of each line.
fn widths(text: &str, min: usize, padding: usize) -> Vec<Vec<usize>> {
    let cells: Vec<Vec<usize>> = text
        .split_inclusive('\n')
        .map(|line| {
            let line = line.strip_suffix('\n').unwrap_or(line);
            let mut cells: Vec<usize> = line.split('\t').map(|c| c.chars().count()).collect();
            cells.pop();
            cells
        })
        .collect();
    let mut widths: Vec<Vec<usize>> = cells.iter().map(|c| vec![0; c.len()]).collect();
    // A column ends where one to its left ends, since its lines have all columns before it.
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut line = 0;
        while line < cells.len() {
            if cells[line].len() <= column {
                line += 1;
                continue;
            }
            let begin = line;
            let mut width = min;
            while line < cells.len() && cells[line].len() > column {
                width = width.max(cells[line][column] + padding);
                line += 1;
            }
            for line in &mut widths[begin..line] {
                line[column] = width;
            }
        }
    }
    widths
}

/// A table that grows: once a column is wide, it stays so.
#[derive(Debug, Default)]
pub struct Growing {
    widths: Vec<usize>,
}

impl Growing {
    /// Aligns further lines, as kubectl's own tab writer with remembered widths does.
    pub fn align(&mut self, text: &str) -> String {
        let mut out = String::new();
        for widths in widths(text, 6, 3) {
            for (i, width) in widths.into_iter().enumerate() {
                match self.widths.get_mut(i) {
                    Some(known) => *known = width.max(*known),
                    None => self.widths.push(width),
                }
            }
        }
        for line in text.split_inclusive('\n') {
            write(&mut out, line, &self.widths);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_runs_of_lines() {
        let text = "NAME\tREADY\na-long-name\tyes\n\nX:\t1\n";
        let want = "NAME          READY\na-long-name   yes\n\nX:    1\n";
        assert_eq!(align(text, 6, 3), want);
        assert_eq!(align("A:\tb\n  C:\n  Dd:\te\n", 0, 2), "A:  b\n  C:\n  Dd:  e\n");
    }

    #[test]
    fn a_line_that_ends_in_a_tab_is_padded() {
        assert_eq!(align("Type\tStatus\nReady\tTrue \n", 0, 2), "Type   Status\nReady  True \n");
        assert_eq!(align("a\t\nbbb\t\n", 0, 2), "a    \nbbb  \n");
    }
}
