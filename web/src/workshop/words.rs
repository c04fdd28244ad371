//! Every word of the workshop's pages, in both languages.

use crate::i18n::Lang;

crate::i18n::texts! {
    join_title: "Join the workshop", "ワークショップに参加";
    join_help: "Type the code on the wall and a name that the instructor can call you by. You get a world of your own; nobody needs an account.",
        "掲示されているコードと、講師があなたを呼ぶときの名前を入力してください。自分専用の世界が用意されます。アカウントは要りません。";
    code: "Code", "コード";
    code_help: "Six letters and digits; upper or lower case does not matter.", "英数字6文字。大文字と小文字は区別しません。";
    name: "Name", "名前";
    join: "Join", "参加する";
    joining: "Joining…", "参加しています…";
    back_title: "Back again?", "前に参加した方";
    back_help: "With your name and your recovery word your place is yours in any browser.", "名前と復帰の合言葉があれば、どのブラウザーからでも自分の席に戻れます。";
    word: "Recovery word", "復帰の合言葉";
    back: "Take my place again", "自分の席に戻る";
    instructor_wrong: "This is not the instructor's link any more. Take it from the terminal again.", "講師用リンクが正しくありません。ターミナルの表示からもう一度開いてください。";

    queue_title: "All seats are taken", "ただいま満席です";
    queue_place: "You are number {} of {} in the queue", "順番は {} 番目です({} 人待ち)";
    queue_help: "Keep this page open: as soon as a seat is free for you, your world opens by itself.", "このページを開いたままお待ちください。席が空くと、自動であなたの世界が開きます。";
    queue_leave: "Do not wait any longer", "待つのをやめる";
    kubectl_title: "Use a kubectl of your own on your world", "手元の kubectl で自分の世界を操作する";
    kubectl_help: "With kubectl on your computer, type this. It reaches your world and no other.", "kubectl が入っているパソコンで次のように入力します。届くのはあなたの世界だけです。";
    kubectl_help_file: "With kubectl on your computer, save the file and type this beside it. It reaches your world and no other.", "kubectl が入っているパソコンでファイルを保存し、同じフォルダーで次のように入力します。届くのはあなたの世界だけです。";
    kubectl_line: "Command", "コマンド";
    kubectl_copy: "Copy the command", "コマンドをコピー";
    kubectl_copied: "Copied", "コピーしました";
    kubectl_file: "Save as {}", "{} として保存";
    kubectl_secret: "Keep the address to yourself: whoever has it acts in your world. Your last four addresses are good.", "このアドレスを知っている人は誰でもあなたの世界を操作できます。人には見せないでください。有効なのは直近の4つです。";
    bar: "Workshop", "ワークショップ";
    part: "Part {} of {}", "{}/{}";
    minutes: "{} min", "{} 分";
    open_part: "Go to this part", "このパートを開く";
    opening: "Opening…", "開いています…";
    home: "My world", "自分の世界";
    hand_up: "Raise hand", "手を挙げる";
    hand_down: "Take hand down", "手を下ろす";
    your_word: "Write down your recovery word: {}. With it you come back in another browser.", "復帰の合言葉「{}」を控えてください。別のブラウザーから戻るときに使います。";
    noted: "Noted", "控えました";
    paused: "The instructor has paused all worlds.", "講師がすべての世界を一時停止しています。";
    said: "The instructor says", "講師から";
    moment: "Open this moment", "この瞬間を開く";
    dismiss: "Close the message", "メッセージを閉じる";
    asked: "Question", "問題";
    picked: "You picked this", "あなたの回答";
    right: "right", "正解";
    votes: "{} of {}", "{}/{} 人";
    invite: "Let the instructor help", "講師に操作を任せる";
    invite_help: "The instructor may then act in your worlds. A raised hand allows it as well.", "講師があなたの世界を操作できるようになります。挙手しているあいだも同じです。";
    invite_back: "Do not let the instructor help", "任せるのをやめる";
    driven: "The instructor is driving in your worlds. You see everything that happens.", "講師があなたの世界を操作しています。様子はそのまま見られます。";
    worlds_back: "Take my worlds back", "自分の操作に戻す";
    moment_shown: "The instructor shows you a moment.", "講師が皆さんに見せたい瞬間があります。";
    moment_look: "Look at it", "見てみる";
    moment_here: "This is the moment that the instructor shows. Nothing you do here touches your own world.", "講師が見せている瞬間です。ここで何をしても、自分の世界には影響しません。";
    moment_back: "Back to my world", "自分の世界に戻る";
    given_hint: "A hint from the instructor ({}):", "講師からのヒント({}):";
    given_solution: "The instructor shows you the solution of: {}", "講師が解答例を公開しました:{}";
    given_open: "Open the exercise", "演習を開く";
    given_close: "Close the hint", "ヒントを閉じる";
    lesson: "Lesson", "レッスン";
    exercise: "Exercise", "演習";
    play: "Free play", "自由に試す";
    question: "Question", "問題";
    rest: "Break", "休憩";

    board: "Board", "ボード";
    watching: "You watch the world of {}.", "{} さんの世界を見ています。";
    watching_help: "To act in it, you need a raised hand or an invitation.", "操作するには、本人の挙手か招待が必要です。";
    asks_you: "{} asks you in: you may take over.", "{} さんから操作を任されています。";
    driving: "You are driving in the world of {}. They see it.", "{} さんの世界を操作しています(本人にも表示されます)。";
    take_over: "Take over", "操作を引き受ける";
    hand_back: "Hand back", "操作を返す";
    show_moment: "Show this moment to everybody", "この瞬間を全員に見せる";
    moment_on: "A moment is on all screens.", "全員の画面に瞬間を表示中です。";
    moment_end: "End the shown moment", "表示を終える";
    to_wall: "Show on the projector", "プロジェクターに映す";
    off_wall: "Take off the projector", "プロジェクターから外す";
    wall_short: "projector", "投影";
    wall_named: "Names on the projector", "プロジェクターに名前を出す";
    wall_of: "The world of {}", "{} さんの世界";
    wall_world: "A learner's world", "参加者の世界";
    give_all: "Give everybody", "全員に渡す";
    give_one: "Give {}", "{} さんに渡す";
    hint_n: "Hint {}", "ヒント{}";
    solution: "Solution", "解答例";
    invites: "asks you in", "操作を任せたい";
    drives: "you are driving", "操作中";
    wall: "Projector", "プロジェクター";
    patterns: "Patterns", "パターン";
    parts: "Parts", "進行";
    next: "Next part", "次のパートへ";
    previous: "Previous part", "前のパートへ";
    since: "for {} of {} min", "{} 分経過(予定 {} 分)";
    pause_all: "Pause all worlds", "全員の世界を一時停止";
    go_on: "Let all go on", "全員の世界を再開";
    reveal: "Show the answers", "回答を全員に見せる";
    hide: "Hide the answers", "回答を隠す";
    message: "Message to everybody", "全員へのメッセージ";
    send: "Send", "送信";
    take_back: "Take the message away", "メッセージを消す";
    notes: "Notes for you", "講師用メモ";
    answered: "{} of {} have answered", "{}/{} 人が回答";
    queued: "Waiting for a seat", "席の空きを待っている人";
    queued_for: "for {} min", "{} 分待ち";
    learners: "Learners", "参加者";
    nobody: "Nobody has joined yet.", "まだ誰も参加していません。";
    col_name: "Name", "名前";
    col_state: "This part", "このパート";
    col_tries: "Failed attempts", "失敗した回数";
    col_hints: "Hints", "ヒント";
    col_check: "Checks that fail", "通っていないチェック";
    col_worlds: "Worlds", "世界";
    col_more: "More", "その他";
    hand: "hand raised", "挙手中";
    not_begun: "not begun", "未着手";
    working: "for {} min", "{} 分経過";
    solved: "solved in {} min", "{} 分で解決";
    has_answered: "has answered", "回答済み";
    looking: "looking at it", "表示中";
    quiet_for: "left alone for {} min", "{} 分間操作なし";
    on_disk: "on disk", "保存中";
    lagging: "slow", "遅延";
    dead: "dead", "停止";
    open_world: "Open: {}, {}", "開く:{}、{}";
    new_word: "New recovery word", "合言葉を出し直す";
    word_is: "New recovery word of {}: {}", "{} さんの新しい合言葉:{}";
    lower: "Take hand down", "手を下ろす";
    free: "Free the seat", "席を空ける";
    free_sure: "Free the seat of {}? Their worlds end.", "{} さんの席を空けますか。その人の世界は終了します。";
    results: "Results", "結果";
    csv: "CSV", "CSV";
    csv_anonymous: "CSV without names", "名前なしの CSV";
    json_file: "JSON", "JSON";
    broken: "The workshop's register cannot be written: is the disk full?", "ワークショップの記録を書き込めません。ディスクがいっぱいではありませんか。";
    seats: "{} of {} seats", "{}/{} 席";
    wall_open: "Open this address", "次のアドレスを開いて";
    wall_code: "and type this code", "このコードを入力してください";
    qr: "QR code of {}", "{} の QR コード";
    failed: "That did not work: {}", "うまくいきませんでした:{}";
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
