//! The words of what looks closely: breakpoints, requests that are sent again, patterns that are
//! recognised, progress that is taken along.

use super::Lang;

super::texts! {
    breakpoints: "Breakpoints", "ブレークポイント";
    breakpoints_n: "Breakpoints: {} of {} on", "ブレークポイント:{} / {} 件が有効";
    breakpoints_help: "The world stops at the instant of an event that matches.", "条件に合うイベントが起きた瞬間に世界が止まります。";
    breakpoint_when: "Stop when", "止める条件";
    breakpoint_add: "Add", "追加";
    breakpoint_name: "Name of breakpoint “{}”", "ブレークポイント「{}」の名前";
    breakpoint_unnamed: "Name", "名前";
    breakpoint_remove: "Remove breakpoint “{}”", "ブレークポイント「{}」を削除";
    breakpoint_on: "Heed breakpoint “{}”", "ブレークポイント「{}」を有効にする";
    breakpoint_try: "For example", "例";
    breakpoint_here: "stopped here", "ここで停止";
    breakpoint_hit: "Stopped at {} by “{}”.", "{} に「{}」で停止しました。";
    breakpoint_hit_again: "Go on with k, or step with the full stop key.", "k で続行、ピリオドで 1 イベント進みます。";
    breakpoint_not_there: "{} was met at {}, but the world could not be taken back there: {} It is frozen, and you see that instant.",
        "{} に {} で一致しましたが、世界をその時点に戻せませんでした:{} 世界は停止中で、その時点を表示しています。";
    breakpoint_like: "Stop at such events", "この種のイベントで止める";
    breakpoint_set: "Breakpoint set: {}.", "ブレークポイントを設定しました:{}";
    breakpoint_twice: "There is a breakpoint for this already.", "同じ条件のブレークポイントがあります。";
    breakpoint_full: "A pattern has at most 20 breakpoints; remove one first.", "ブレークポイントは 1 つのパターンに 20 件までです。どれかを削除してください。";
    next_effect_short: "What came of it", "引き起こした次のイベント";
    filter_empty: "Say what to wait for, for example path:/lock or kind:restart.", "何を待つかを書いてください。例:path:/lock、kind:restart";
    filter_long: "This is too long: at most 200 characters and 16 words.", "長すぎます。200 文字、16 語までです。";
    filter_field: "There is no “{}:”. There are {}. Put a word with a colon between quotes.",
        "「{}:」は使えません。使えるのは {} です。コロンを含む語は引用符で囲んでください。";
    filter_value: "“{}” is nothing that {}: can be. {}", "「{}」は {}: に指定できません。{}";
    filter_kinds: "Kinds are {}.", "種類は {} です。";
    filter_marks: "Marks are request, response, read, write, error, warning, stderr and so on.", "request、response、read、write、error、warning、stderr などを指定します。";
    filter_status: "Write 404, 5xx or >=500.", "404、5xx、>=500 のように書きます。";
    filter_number: "Write a number.", "数を書いてください。";
    filter_value_missing: "Write something after the colon.", "コロンの後に値を書いてください。";

    request_method: "Method", "メソッド";
    request_compose: "Write a request", "リクエストを書く";
    request_to: "Request to {}", "{} へのリクエスト";
    request_see: "Look at it", "このリクエストを見る";
    request_under_way: "Under way…", "送信中…";
    request_waits: "The world is frozen: the answer comes when it runs (k).", "世界が停止中です。動かす(k)と応答が届きます。";
    answer_before: "Answer before", "前の応答";
    answer_now: "Answer now", "今回の応答";
    request_method_wrong: "The method must be a word such as GET or POST; browsers send no CONNECT and no TRACE.", "メソッドには GET や POST などの語を書いてください。CONNECT と TRACE はブラウザーから送れません。";
    request_slash: "The path must begin with a slash.", "パスは / で始めてください。";
    request_character: "The path cannot have “{}” in it; write it percent-encoded.", "パスに「{}」は使えません。パーセントエンコーディングで書いてください。";
    request_dots: "The path cannot have “.” or “..” as a part: it would lead out of the Service.", "パスの要素に「.」や「..」は使えません。Service の外を指してしまいます。";
    request_path_long: "The path is longer than 4000 bytes.", "パスが 4000 バイトを超えています。";
    request_line: "Line {} of the headers is not “Name: value”, or has a character that a header cannot have.", "ヘッダーの {} 行目が「名前: 値」の形でないか、使えない文字を含んでいます。";
    request_own: "“{}” is written by the browser or the connection itself: take the line away.", "「{}」はブラウザーか接続が自動で付けます。この行を消してください。";
    request_headers_long: "At most 50 headers and 8 KiB of them.", "ヘッダーは 50 件、合計 8 KiB までです。";
    request_no_body: "Browsers send no body with {}: take POST or PUT, or empty the body.", "ブラウザーは {} に本文を付けられません。POST や PUT にするか、本文を空にしてください。";
    request_body_long: "The body is longer than 1 MiB.", "本文が 1 MiB を超えています。";

    progress: "Your progress", "学習の進み具合";
    progress_help: "What you solved and predicted is kept in this browser only. Save it as a file to go on in another.", "解いた問題と予想の記録は、このブラウザーの中だけに保存されています。別のブラウザーで続けるには、ファイルに保存してください。";
    progress_save: "Save as a file", "ファイルに保存";
    progress_load: "Load a file", "ファイルを読み込む";
    progress_none: "There is no progress to save yet.", "保存する記録がまだありません。";
    progress_saved: "{} entries were saved in {}.", "{} 件を {} に保存しました。";
    progress_not_saved: "The browser did not save the file.", "ブラウザーがファイルを保存できませんでした。";
    progress_loaded: "{} entries taken over; {} were here already or go no further.", "{} 件を取り込みました。{} 件はすでに同じか、それ以上に進んでいます。";
    progress_large: "{} is larger than any progress can be. Choose a file that was saved here.", "{} は大きすぎます。ここで保存したファイルを選んでください。";
    progress_other: "{} is no file of progress. Choose a podlab-progress.json that was saved here.", "{} は進み具合のファイルではありません。ここで保存した podlab-progress.json を選んでください。";
    progress_version: "{} is of a later version of Podlab. Load it there.", "{} は新しい版の Podlab で作られています。その版で読み込んでください。";
    progress_full: "The browser has no room for all of it. Free some and load it again.", "ブラウザーの保存領域が足りません。空きを作ってから読み込み直してください。";
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
