//! Every word of the page of two worlds, in both languages.

use crate::i18n::Lang;

crate::i18n::texts! {
    open: "Compare…", "比較…";
    open_help: "Another world beside this one, on the same clock", "別の世界を横に並べ、同じ時計で動かして比べます";
    title: "Compare two worlds", "2 つの世界を比較";
    with: "Compare with…", "比較する相手";
    fork: "A fork from {}", "{} からの分岐";
    fork_help: "The same past; change something in one of them and see where they part.", "過去は同じ。どちらかに変更を加えて、どこで分かれるかを見ます。";
    fork_beside: "Fork and compare", "分岐して比較";
    origin: "What this was forked from", "この世界の分岐元";
    other_seed: "Another seed", "別のシード";
    seed_help: "The same pattern, other random numbers.", "パターンは同じで、乱数だけが違います。";
    seed: "Seed", "シード";
    go: "Compare", "比較する";
    without: "Without the pattern", "パターンがない場合";
    without_help: "The same world, with other objects in the pattern's place.", "同じ世界で、パターンの部分だけを別のオブジェクトに置き換えます。";
    running: "A running world", "動いている世界";
    none_running: "No other world runs.", "ほかに動いている世界はありません。";
    nothing_else: "Seeds and variants need a world that was started from a pattern.", "シードやパターンなしとの比較は、パターンから始めた世界でだけ使えます。";
    cancel: "Cancel", "キャンセル";
    failed: "The world could not be made: {}", "世界を作れませんでした:{}";

    left: "left", "左";
    right: "right", "右";
    side: "World on the {}: {}", "{}の世界:{}";
    label_seed: "seed {}", "シード {}";
    label_origin: "origin", "分岐元";
    label_fork: "fork at {}", "{} での分岐";
    label_with: "with the pattern", "パターンあり";
    label_without: "without the pattern", "パターンなし";
    label_world: "world {}", "世界 {}";
    open_world: "Open this world", "この世界を開く";
    making: "The world is being made…", "世界を作っています…";
    catching: "Runs to {} (is at {})", "{} まで実行中(現在 {})";
    no_world: "This world is not there: {}", "この世界はありません:{}";
    again: "Try again", "もう一度試す";

    same: "No difference until {}.", "{} まで違いはありません。";
    same_yet: "Nothing to compare yet.", "まだ比べるものがありません。";
    since: "Compared from {} on: of one side the page does not hold what was before.", "{} 以降を比較しています。それより前は、片方の記録がこのページにありません。";
    parted: "Same until {}, then:", "{} までは同じ。その後:";
    parted_at_once: "Different from the beginning:", "最初から異なります:";
    late: "The same in both, but it takes another time.", "内容は同じですが、かかる時間が違います。";
    nothing: "nothing of the kind", "該当なし";
    deed: "First thing a program does differently, at {}:", "プログラムの動作が初めて変わるのは {}:";
    no_deed: "Until {} every program has done the same, if not always at the same time.", "{} までは、時刻の違いを除けばどのプログラムも同じことをしています。";
    go_there: "Go there", "そこへ移動";
    go_help: "Go to the first difference (d)", "最初の違いへ移動(d)";
    mark: "First difference: {}", "最初の違い:{}";

    figures: "In numbers, until {}", "数値({} まで)";
    figures_since: "Counted from {} on.", "{} 以降を数えています。";
    what: "What", "項目";
    requests: "Requests", "リクエスト";
    errors: "Errors", "エラー";
    p50: "Answers, p50", "応答時間 p50";
    p95: "Answers, p95", "応答時間 p95";
    waiting: "Waiting", "応答待ち";
    bytes: "Bytes sent", "送信量";
    lines: "Log lines", "ログ行数";
    programs: "Running programs", "実行中のプログラム";
    restarts: "Restarts", "再起動";
    differs: "differs", "違いあり";

    clock: "The clock of both", "共通の時計";
    play: "Play both", "両方を再生";
    pause: "Pause both", "両方を一時停止";
    step: "To the next event of either", "どちらかの次のイベントへ";
    step_back: "To the event before, of either", "どちらかの直前のイベントへ";
    newest: "To the newest instant that both have reached", "両方が到達した最新の時点へ";
    newest_short: "Newest", "最新";
    waits: "Waiting for the {} world", "{}の世界を待っています";
    stands: "Both stand", "両方停止中";
    plays: "Both run", "両方再生中";
    timeline: "Instant shown in both worlds", "両方の世界で表示している時点";
    link: "Copy link", "リンクをコピー";
    link_none: "A world of no pattern fits in no link: export it as a recording.", "パターンから作られていない世界はリンクにできません。記録として書き出してください。";
    link_touched: "What was done in them ({} and {} actions) is not in it.", "加えた操作(左 {} 件、右 {} 件)はリンクに含まれません。";

    selected: "Selected in both", "両方で選択中";
    no_counterpart: "There is no counterpart in the world on the {}.", "{}の世界には対応するものがありません。";
    counterpart: "Its counterpart in the world on the {} is selected too.", "{}の世界でも対応するものを選択しています。";
    identical: "The same in both", "両方で同じ";
    changed: "Only left (−), only right (+)", "左だけ(−)、右だけ(+)";
    when: "When", "時刻";
    took: "Answer after", "応答まで";
    who: "Who", "誰が";
    event: "What", "内容";
    close: "Close", "閉じる";
    act_newest: "To change something in one of the worlds, go to the newest instant.", "どちらかの世界を操作するには、最新の時点へ移動してください。";
    spoken: "At {}. {}", "{} の時点。{}";
}

/// The texts of a language.
pub fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::En => &EN,
        Lang::Ja => &JA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_take_as_many_values() {
        for (name, en, ja) in ALL {
            assert!(!en.is_empty() && !ja.is_empty(), "{name}");
            assert_eq!(en.matches("{}").count(), ja.matches("{}").count(), "{name}");
        }
    }
}
