//! Every word of the page, in both languages. A text that is missing in one does not compile.

pub mod inspect;
pub mod recognise;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// The tag of the language ("en", "ja").
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Ja => "ja",
        }
    }

    /// The language of a tag; anything that is not Japanese is English.
    pub fn of(tag: &str) -> Lang {
        if tag.starts_with("ja") { Lang::Ja } else { Lang::En }
    }

    /// Its texts.
    pub fn texts(self) -> &'static Texts {
        match self {
            Lang::En => &EN,
            Lang::Ja => &JA,
        }
    }
}

/// `template` with `{}` replaced by the values, in order.
pub fn fill(template: &str, values: &[&str]) -> String {
    let mut out = String::new();
    let mut parts = template.split("{}");
    out.push_str(parts.next().unwrap_or_default());
    for (i, part) in parts.enumerate() {
        out.push_str(values.get(i).copied().unwrap_or_default());
        out.push_str(part);
    }
    out
}

macro_rules! texts {
    ($($name:ident: $en:literal, $ja:literal;)*) => {
        /// The texts of one language.
        #[allow(missing_docs)]
        #[derive(Debug)]
        pub struct Texts { $(pub $name: &'static str,)* }
        static EN: Texts = Texts { $($name: $en,)* };
        static JA: Texts = Texts { $($name: $ja,)* };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $ja),)*];
    };
}

pub(crate) use texts;

texts! {
    skip: "Skip to the picture", "図へ移動";
    claim: "Pod design patterns, seen working", "動いているところを見る Pod デザインパターン";
    claim_more: "Real programs run as the containers of pods, on a clock that you own. Every mark on the picture is a real message: pause, look inside, break something, and watch it recover.",
        "本物のプログラムが Pod のコンテナとして、あなたが操る時計の上で動きます。図の印ひとつひとつが本物のメッセージです。止めて、中を見て、壊して、回復を見届けてください。";
    start_sidecar: "Start the sidecar world", "サイドカーの世界を始める";
    starting: "Starting…", "開始しています…";
    gallery: "Patterns", "パターン";
    worlds: "Running worlds", "動いている世界";
    open_world: "Open", "開く";
    start: "Start", "始める";
    family_single: "single-node", "シングルノード";
    family_multi: "multi-node", "マルチノード";
    family_container: "single-container", "シングルコンテナ";
    no_patterns: "The server offers no patterns.", "サーバーにパターンがありません。";
    loading: "Loading…", "読み込み中…";
    home: "All patterns", "パターン一覧";
    language: "Language", "言語";
    theme: "Colours", "配色";
    theme_auto: "System", "自動";
    theme_light: "Light", "ライト";
    theme_dark: "Dark", "ダーク";
    motion: "Motion", "動き";
    motion_full: "Flying", "飛ぶ";
    motion_less: "Flash", "点滅";
    settings: "Display settings", "表示の設定";
    seed: "seed {}", "シード {}";

    picture: "Picture of the world", "世界の図";
    picture_help: "Nodes hold pods, pods hold containers. Use Tab to reach containers, volumes and connections, Enter to open them.",
        "ノードの中に Pod、Pod の中にコンテナがあります。Tab でコンテナ・ボリューム・接続へ移動し、Enter で開きます。";
    node: "Node", "ノード";
    pod: "Pod", "Pod";
    container: "Container", "コンテナ";
    volume: "Volume", "ボリューム";
    files_n: "{} files", "ファイル {} 件";
    empty_volume: "empty", "空";
    service: "Service", "Service";
    outside: "Outside", "外部";
    control_plane: "Control plane", "コントロールプレーン";
    visitor: "this computer", "この PC";
    localhost: "localhost", "localhost";
    edge: "{} and {}: {} marks in view", "{} と {}:表示中の印 {} 個";
    role_main: "container", "コンテナ";
    role_sidecar: "sidecar", "サイドカー";
    role_init: "init", "初期化";
    zoom_in: "Zoom in", "拡大";
    zoom_out: "Zoom out", "縮小";
    zoom_fit: "Fit", "全体";
    legend: "Marks", "印";
    in_flight: "In flight", "移動中";
    recent: "Latest messages", "最新のメッセージ";
    nothing_yet: "Nothing has happened yet.", "まだ何も起きていません。";
    running: "running", "実行中";
    not_running: "not running", "停止中";
    waiting: "waiting", "待機中";
    ended: "ended", "終了";
    frozen_program: "paused", "一時停止";
    ready: "ready", "準備完了";
    not_ready: "not ready", "準備未完了";
    restarts: "{} restarts", "再起動 {} 回";
    deleted: "deleted", "削除済み";
    sidecar: "sidecar", "サイドカー";
    init: "init", "初期化";
    main: "main", "メイン";

    request: "request", "リクエスト";
    response: "response", "レスポンス";
    write: "file write", "ファイル書き込み";
    read: "file read", "ファイル読み取り";
    data: "bytes", "バイト列";
    datagram: "datagram", "データグラム";
    probe: "probe", "プローブ";
    error: "error", "エラー";

    time: "Time", "時間";
    world_running: "World running", "世界は進行中";
    world_frozen: "World frozen", "世界は停止中";
    freeze: "Freeze the world", "世界を止める";
    run: "Run the world", "世界を動かす";
    step: "Step to the next event", "一歩進める(次のイベントまで)";
    step_short: "Step", "一歩";
    step_back: "Look at the event before", "前のイベントを見る";
    speed: "Speed", "速さ";
    speed_max: "max", "最大";
    lagging: "This machine cannot keep up with that speed.", "このマシンではその速さに追いつけません。";
    view_live: "You see the present", "現在を表示中";
    speed_times: "{} real time", "実時間の {}";
    speed_endless: "As fast as this machine can", "このマシンの全速力";
    speed_once_running: "{} once the world runs; now it is frozen", "動き出したら {}(いまは世界が停止中)";
    view_live_frozen: "You see the frozen present", "停止中の現在を表示しています";
    view_paused_running: "View paused {} behind; the world runs on", "表示だけ一時停止中({} 前)。世界は進んでいます";
    view_plays_running: "View plays {} behind; the world runs on", "{} 前から再生中。世界は進んでいます";
    view_paused_frozen: "View paused {} before the frozen present", "停止中の現在より {} 前を表示しています";
    view_plays_frozen: "View plays, {} before the frozen present", "停止中の現在より {} 前を再生中";
    bookmarks: "Bookmarks", "ブックマーク";
    bookmarks_n: "Bookmarks: {}", "ブックマーク:{} 件";
    bookmark_set: "Bookmark this instant", "この時点をブックマーク";
    bookmark_before: "To the bookmark before", "前のブックマークへ";
    bookmark_after: "To the next bookmark", "次のブックマークへ";
    bookmark_go: "Look at bookmark {}", "ブックマーク {} を見る";
    bookmark_name: "Name of the bookmark at {}", "{} のブックマークの名前";
    bookmark_unnamed: "Name", "名前";
    bookmark_remove: "Remove bookmark {}", "ブックマーク {} を削除";
    did_bookmark: "Bookmark set at {}.", "{} をブックマークしました。";
    bookmark_twice: "This instant has a bookmark already.", "この時点はすでにブックマークしてあります。";
    bookmark_full: "This world has 100 bookmarks; remove one first.", "この世界のブックマークは 100 件までです。どれかを削除してください。";
    no_bookmark: "No bookmark on that side.", "その方向にブックマークはありません。";
    pause_view_help: "Only the view stops; the world runs on", "止まるのは表示だけです。世界は進み続けます";
    to_present: "To the present", "現在へ戻る";
    play_view: "Play", "再生";
    play_view_help: "Play the view from here; the world stays as it is", "ここから表示を再生します。世界はそのままです";
    pause_view: "Pause the view", "表示を一時停止";
    pause_short: "Pause", "一時停止";
    fork_here: "Fork here", "ここから分岐";
    rewind_here: "Rewind the world", "世界を巻き戻す";
    rewind_help: "The world itself goes back to here and goes on from here", "世界そのものをここまで戻し、ここから続けます";
    fork_help: "A second world that goes on from here; this one stays", "ここから続く 2 つ目の世界を作ります。この世界は残ります";
    scrub: "Instant shown", "表示する時点";
    stopped: "The clock stands: {}", "時計が止まっています:{}";

    lesson: "Lesson", "レッスン";
    practice: "Practice", "演習";
    exercises: "Exercises", "演習問題";
    no_exercises: "This pattern has no exercises yet.", "このパターンにはまだ演習問題がありません。";
    exercises_done: "{} of {} solved", "{} / {} 問を解決";
    practice_intro: "Each begins with something broken. Edit its YAML, let it be checked, and see in the trace why it fails.",
        "どの問題も、どこかが壊れた状態から始まります。YAML を直してチェックし、失敗の理由をトレースで確かめます。";
    not_begun: "not begun", "未着手";
    begun: "begun", "取り組み中";
    solved: "solved", "解決済み";
    begin: "Begin", "始める";
    go_on: "Go on", "続ける";
    again: "Look again", "もう一度";
    files: "Files", "ファイル";
    edit_file: "Edit {}", "{} を編集";
    line_n: "Line {}", "{} 行目";
    check: "Check", "チェック";
    checking: "Checking…", "チェック中…";
    run_files: "Run this", "この内容で動かす";
    run_files_help: "Starts a new world with these files", "このファイルで新しい世界を始めます";
    undo: "Undo", "元に戻す";
    reset: "Start over", "最初からやり直す";
    goals: "What must hold", "満たすべきこと";
    all_pass: "Solved: everything holds.", "解決:すべて満たしています。";
    not_yet: "Not yet.", "まだ満たしていません。";
    check_took: "{} of world time, {} events.", "世界の時間で {}、イベント {} 件。";
    check_pass: "Holds:", "満たしている:";
    check_fail: "Does not hold:", "満たしていない:";
    check_unknown: "Cannot be told:", "判定できない:";
    expected: "Expected", "期待";
    seen: "Seen", "実際";
    where_at: "Where", "時点";
    see_there: "Look there", "その時点を見る";
    around: "What happened around it", "前後の出来事";
    in_checked: "On the picture: the world in which the checks ran.", "図はチェックを実行した世界です。";
    own_world: "Back to your world", "自分の世界に戻る";
    help: "Help", "ヘルプ";
    hint_of: "Hint {} of {}", "ヒント {} / {}";
    show_solution: "Show the solution", "解答を見る";
    hide_solution: "Hide the solution", "解答を隠す";
    use_solution: "Put it into the editor", "エディターに入れる";
    solution_of: "What the solution changes in {}", "{} に対する解答の変更点";
    debrief: "Debrief", "振り返り";
    next_exercise: "Next exercise", "次の問題";
    messages: "Messages", "メッセージ";
    logs: "Logs", "ログ";
    events: "Events", "イベント";
    terminal: "Terminal", "ターミナル";
    terminal_hint: "kubectl for this world. Try: kubectl get pods", "この世界の kubectl です。例: kubectl get pods";
    terminal_line: "Command line", "コマンドライン";
    terminal_reads: "Input of the running program", "実行中のプログラムへの入力";
    terminal_output: "Output of the commands", "コマンドの出力";
    terminal_stop: "Stop", "停止";
    terminal_connect: "Connect", "接続";
    terminal_lost: "The connection to the world is lost.", "世界との接続が切れました。";
    terminal_code: "Exit code {}", "終了コード {}";
    terminal_keys: "Enter runs, ↑ ↓ earlier lines, Tab completes, Ctrl-C stops, Ctrl-L clears. Paste manifests after kubectl apply -f - <<EOF.",
        "Enter で実行、↑ ↓ で履歴、Tab で補完、Ctrl-C で中断、Ctrl-L で画面消去。マニフェストは kubectl apply -f - <<EOF に続けて貼り付けます。";
    panels: "Panels", "パネル";
    filter: "Filter", "絞り込み";
    filter_help: "Words that must appear; -word must not. Also from:web to:origin is:error path:/x method:GET status:5xx kind:file body:text conn:12 after:3.5 before:9", "含む語。-語 は含まない。from:web to:origin is:error path:/x method:GET status:5xx kind:file body:文字列 conn:12 after:3.5 before:9 も使えます";
    all_containers: "All containers", "すべてのコンテナ";
    no_rows: "Nothing here up to this instant.", "この時点まで何もありません。";
    no_lesson: "This world has no lesson.", "この世界にはレッスンがありません。";
    col_time: "Time", "時刻";
    col_who: "From", "送り元";
    col_whom: "To", "宛先";
    col_what: "What", "内容";

    views: "Views", "表示";
    view_picture: "Picture", "構成図";
    view_order: "Order", "順序";
    view_both: "Both", "両方";
    lanes: "Order of events", "出来事の順序";
    lanes_help: "One lane for each container, time from left to right; gaps are longer pauses.", "コンテナごとに 1 本の線。時間は左から右へ進み、広い間隔は長い休止です。";
    lane_fold: "Fold the containers of {}", "{} のコンテナをまとめる";
    lane_unfold: "Unfold the containers of {}", "{} のコンテナを分ける";
    show_probes: "Probes", "プローブ";
    why: "Why did it go there?", "なぜそこへ届いたのか";
    why_name: "{} looked up {} and was told {}.", "{} が {} を名前解決し、{} を得ました。";
    why_address: "{} used the address {} without looking up a name in the loaded trace.", "{} は、読み込んだトレースの範囲では名前解決をせずに {} を使いました。";
    why_direct: "{} belongs to a pod, so the packets went straight there.", "{} は Pod のアドレスなので、そのまま届けられました。";
    why_service: "{} belongs to Service {}; of its endpoints {} was chosen.", "{} は Service {} のもので、エンドポイントから {} が選ばれました。";
    why_listener: "{} listens at {}.", "{} が {} で待ち受けています。";
    why_refused: "At {} nobody took it: {}.", "{} では受け取られませんでした:{}。";
    again_title: "Once more: curl, edit and resend", "もう一度:curl、編集して再送";
    again_path: "Path", "パス";
    again_send: "Send", "送信";
    next_effect: "To the next event caused by this one", "このイベントが引き起こした次のイベントへ";
    no_effect: "Nothing came of it yet.", "まだ何も引き起こしていません。";
    stream_of: "Stream of connection #{}", "接続 #{} のストリーム";
    follow_stream: "Follow this stream", "このストリームを追う";
    stream_filter: "Only this connection", "この接続だけを一覧に";
    inspector: "Inspector", "詳細";
    close: "Close", "閉じる";
    headers: "Headers", "ヘッダー";
    body: "Body", "本文";
    as_text: "Text", "テキスト";
    as_json: "JSON", "JSON";
    as_hex: "Hex", "16 進";
    no_body: "No body.", "本文はありません。";
    clipped: "The first {} of {} are kept.", "{} 分だけを保存しています(全 {})。";
    not_answered: "Not answered yet.", "まだ応答がありません。";
    not_kept: "Older than what this page has loaded.", "読み込んだ範囲より前です。";
    sent_at: "Sent", "送信";
    took: "Flight", "所要時間";
    answered_in: "Answered after", "応答まで";
    connection: "Connection", "接続";
    via: "By way of Service {}", "Service {} を経由";
    cause: "Cause", "原因";
    consequences: "Consequences", "結果";
    never: "Never arrived", "届きませんでした";
    file: "File", "ファイル";
    contents: "Contents as seen in the trace", "トレースから分かる内容";
    no_contents: "No bytes of this file are in the loaded trace.", "読み込んだトレースにこのファイルの内容はありません。";
    written_by: "written by {} at {}", "{} が {} に書き込み";
    image: "Image", "イメージ";
    listens: "Listens on", "待ち受け";
    mounts: "Mounts", "マウント";
    state: "State", "状態";
    address: "Address", "アドレス";
    actions: "Actions", "操作";
    kill: "Kill", "強制終了";
    pause: "Pause", "一時停止";
    resume: "Resume", "再開";
    not_while_down: "{} is not running, so there is nothing to stop.", "{} は動いていないので、止めるものがありません。";
    not_in_the_past: "You see the past, which cannot be changed. Go to the present first.",
        "過去は変えられません。先に現在へ戻ってください。";
    show_logs: "Show logs", "ログを見る";
    actions_for: "Actions for {}", "{} の操作";
    send_to: "Send a request to {}", "{} にリクエストを送る";
    did_send: "A request goes to {}.", "{} にリクエストを送りました。";
    did_answer: "{} answered: {}", "{} の応答:{}";
    tour_again: "Tour", "ツアー";
    tour_step: "Step {} of {}", "ステップ {}/{}";
    tour_next: "Next", "次へ";
    tour_back: "Back", "戻る";
    tour_skip: "Skip", "スキップ";
    tour_end: "Start", "始める";
    tour_pod: "This is a pod", "これが Pod です";
    tour_pod_text: "The boxes in it are its containers: real programs that run right now. They start, live and end together on one node.",
        "中の箱がコンテナです。どれもいま実際に動いているプログラムで、同じノードに置かれ、起動も終了も一緒です。";
    tour_rail: "localhost, the rail", "localhost のレール";
    tour_rail_text: "Containers of a pod share one network: they meet at this rail. A black label is a port somebody listens on.",
        "同じ Pod のコンテナはネットワークを共有し、このレールの上で出会います。黒いラベルは待ち受け中のポートです。";
    tour_volume: "A volume", "ボリューム";
    tour_volume_text: "Files that the containers share. Click it to read what is in them; a dotted line shows who has it mounted.",
        "コンテナどうしで共有するファイルです。クリックすると中身を読めます。点線はマウントしているコンテナを示します。";
    tour_message: "Every mark is a real message", "印はすべて本物のメッセージ";
    tour_message_text: "What flies over the picture is listed here. Click a mark or its entry to read the bytes. Shapes say what it is; the legend is below.",
        "図の上を飛ぶ印は、ここにも並びます。印か一覧を押すと中身をバイト単位で読めます。形の意味は下の凡例にあります。";
    tour_time: "Time is yours", "時間はあなたのもの";
    tour_time_text: "Freeze the world (k), step through it (.), change its speed, drag the slider back to any instant. Going back is exact.",
        "世界を止め(k)、一歩ずつ進め(.)、速さを変え、スライダーで好きな時点に戻れます。巻き戻しは正確です。";
    tour_inspector: "Look inside, then break it", "中を見て、壊してみる";
    tour_inspector_text: "Click any mark, container or volume: its details open, with buttons to kill, pause or slow it. Kill a container and see what recovers.",
        "印・コンテナ・ボリュームを押すと詳細が開きます。強制終了や一時停止のボタンもそこにあります。コンテナを落として、何が回復するか見てみましょう。";
    link_copy: "Copy link", "リンクをコピー";
    link_help: "A link to this pattern, seed, time and selection: who opens it sees the same in a world of their own",
        "パターン・シード・時刻・選択を含むリンク。開いた人は自分の世界で同じものを見られます";
    link_copied: "Link copied: pattern, seed, time and selection.", "リンクをコピーしました(パターン・シード・時刻・選択)。";
    link_touched: "What you did to this world ({} times) is not in it.", "この世界に加えた操作({} 回)は含まれません。";
    link_by_hand: "The browser does not let this page copy. Copy the link yourself: {}", "ブラウザーがコピーを許可していません。リンクを手でコピーしてください: {}";
    link_none: "Only the world of a pattern has a link. An exercise begins from your files, which are kept in your browser.",
        "リンクにできるのはパターンの世界だけです。演習は、このブラウザーに保存されたあなたのファイルから始まります。";
    link_title: "Opening a link", "リンクを開いています";
    link_opening: "Making a world of {} with seed {}…", "{} の世界をシード {} で作っています…";
    link_running: "Running it to {}. It has come to {}.", "{} まで進めています。いま {} です。";
    link_as_it_is: "Show it as far as it is", "いまの時点で表示";
    link_version: "This link has another form ({}) than this page reads: it is of another version of Podlab, or was cut.",
        "このリンクの形式({})は読めません。別の版の Podlab のものか、途中で切れています。";
    link_pattern: "This link names no pattern.", "このリンクにはパターンの名前がありません。";
    link_seed: "The seed in this link is no whole number: “{}”.", "リンクのシードが整数ではありません:「{}」。";
    link_epoch: "The beginning of the world in this link is no number of seconds: “{}”.", "リンクの世界の開始時刻が秒数ではありません:「{}」。";
    link_time: "The time in this link is no number of seconds between 0 and a day: “{}”.", "リンクの時刻が 0 秒から 1 日までの秒数ではありません:「{}」。";
    link_what: "What this link selects is not known: “{}”.", "リンクが選んでいるものが分かりません:「{}」。";
    link_ask_again: "Copy the whole link again, ask who sent it for a new one, or start from the patterns.",
        "リンク全体をコピーし直すか、送った人に新しいリンクを頼むか、パターン一覧から始めてください。";
    link_refused: "The world of pattern “{}” cannot be made: {}", "パターン「{}」の世界を作れません:{}";
    link_old: "If the link is old, the pattern may have another name now: look among all patterns.",
        "古いリンクなら、パターンの名前が変わっているかもしれません。パターン一覧を確かめてください。";
    link_lost: "What the link selects is not in this world: {}. The link is of another version of Podlab, or of a world to which something was done.",
        "リンクが選んでいるものはこの世界にありません: {}。別の版の Podlab か、操作が加えられた世界のリンクです。";
    predict_title: "Predict, then run", "予想してから動かす";
    predict_tick: "Tick all that you expect. Then let it happen.", "起こると思うものをすべて選んでから、実際に起こしてみましょう。";
    predict_run: "Let it happen", "起こしてみる";
    predict_wait: "It happens now: watch the picture for {}.", "いま起きています。{} のあいだ図を見てください。";
    predict_gone: "{} of {} have passed", "{}/{} が経過";
    predict_frozen: "The world is frozen: run it to see what comes.", "世界が停止中です。動かすと続きが見られます。";
    predict_score: "{} of {} judged rightly.", "{}/{} を正しく予想しました。";
    predict_why: "Why:", "理由:";
    predict_hit: "It happens, as you expected.", "予想どおり起こりました。";
    predict_missed: "It happens; you did not expect it.", "予想していませんでしたが、起こりました。";
    predict_false: "It does not happen, though you expected it.", "予想しましたが、起こりません。";
    predict_ruled_out: "It does not happen, and you did not expect it.", "予想どおり起こりません。";
    predict_see: "See it in the messages", "メッセージで確かめる";
    predict_mend: "Put it right again", "元に戻す";
    predict_again: "Once more", "もう一度";
    panels_word: "Panels", "パネル";
    panels_hide: "Hide the panels: more room for the picture", "パネルを隠して図を広げる";
    panels_show: "Show the panels", "パネルを表示";
    menu_help: "Right-click, or Shift+F10, opens the menu of a thing.", "右クリックまたは Shift+F10 で、その対象のメニューが開きます。";
    made_by: "Made by", "作成元";
    deed_slow: "Slow its CPU", "CPU を遅くする";
    deed_fast: "Give its CPU back", "CPU を元に戻す";
    deed_skew: "Put its clock wrong", "時計をずらす";
    deed_right: "Put its clock right", "時計を直す";
    deed_oom: "Out of memory", "メモリ不足にする";
    deed_delete: "Delete", "削除";
    deed_no_dns: "Break its DNS", "DNS を止める";
    deed_dns: "Mend its DNS", "DNS を直す";
    deed_isolate: "Cut it off", "ネットワークから切り離す";
    deed_scale: "Scale", "スケール";
    deed_image: "Set image", "イメージを変更";
    deed_node_down: "Stop the node", "ノードを停止";
    deed_node_up: "Start the node", "ノードを起動";
    deed_cordon: "Cordon", "スケジュール対象から外す";
    deed_uncordon: "Uncordon", "スケジュール対象に戻す";
    deed_drain: "Drain", "ドレイン";
    deed_fill: "Fill it up", "満杯にする";
    deed_free: "Make room", "空きを作る";
    deed_partition: "Cut the link", "リンクを切断";
    deed_delay: "Slow the link", "リンクを遅くする";
    deed_lose: "Lose packets", "パケットを失わせる";
    deed_heal: "Mend the link", "リンクを直す";
    unit_replicas: "replicas", "レプリカ";
    unit_times: "times slower", "倍遅く";
    unit_seconds: "s ahead", "秒進める";
    unit_ms: "ms more", "ミリ秒追加";
    same_as: "{}, elsewhere", "「{}」を別の場所で行うには";
    no_kubectl: "kubectl has no command for this; Podlab's API has.", "kubectl にはこの操作がありません。Podlab の API で行えます。";
    scenario_line: "scenario", "シナリオ";
    copy: "Copy", "コピー";
    copied: "Copied", "コピーしました";
    apply: "Apply", "適用";
    load_again: "Load again", "読み直す";
    apply_help: "Tried out on the API server while you type.", "入力中に API サーバーで試し実行します。";
    did_apply: "{} was applied.", "{} を適用しました。";
    event: "Event {}", "イベント {}";

    connecting: "Connecting to the world…", "世界に接続しています…";
    reconnecting: "The connection to the server was lost. Trying again in {} s; nothing is lost.",
        "サーバーとの接続が切れました。{} 秒後に再試行します。失われたものはありません。";
    try_now: "Try now", "今すぐ再試行";
    server_gone: "The server cannot be reached. Is podlab still running? Start it with `podlab up` and try again.",
        "サーバーに届きません。podlab は動いていますか。`podlab up` で起動してから再試行してください。";
    world_gone: "This world is no more: {}", "この世界はもうありません:{}";
    world_gone_help: "Worlds live as long as the server. Start a new one of the same pattern; with the same seed it does the same.",
        "世界はサーバーが動いている間だけ存在します。同じパターンを同じシードで始めれば、同じことが起きます。";
    start_again: "Start a new world", "新しい世界を始める";
    version_differs: "The page and the server are of different versions ({} and {}). Reload the page.",
        "ページとサーバーの版が異なります({} と {})。再読み込みしてください。";
    reload: "Reload", "再読み込み";
    bad_data: "The server sent something this page does not understand. Reload the page; if it stays, page and server are of different versions.",
        "サーバーから解釈できないデータが届きました。再読み込みしてください。直らなければページとサーバーの版が異なります。";
    failed: "That did not work: {}", "うまくいきませんでした:{}";
    summary: "{}. {} of {} containers run. {} marks in flight. Last: {}.",
        "{}。コンテナ {}/{} が実行中。移動中の印は {} 個。最新:{}。";
    charts: "Charts", "グラフ";
    charts_help: "Charts over time; arrow keys move through it", "時間に沿ったグラフ。矢印キーで時刻を移動";
    charts_table: "The same as a table", "同じ内容の表";
    charts_go: "Look at {}", "{} を表示";
    chart_rate: "Requests and errors", "リクエストとエラー";
    chart_latency: "Time to the answer", "応答までの時間";
    chart_waiting: "Waiting for an answer", "応答待ち";
    chart_bytes: "Bytes sent", "送信バイト数";
    chart_programs: "Programs", "プログラム";
    chart_replicas: "Replicas ready", "準備完了のレプリカ";
    chart_requests: "requests", "リクエスト";
    chart_errors: "errors", "エラー";
    chart_open: "requests", "リクエスト";
    chart_running: "running", "実行中";
    chart_failed: "ended with an error", "エラー終了";
    export: "Export", "書き出す";
    export_busy: "Exporting…", "書き出しています…";
    export_done: "{} was saved.", "{} を保存しました。";
    export_html: "One HTML file", "1 つの HTML ファイル";
    export_html_help: "plays in any browser, without a server", "サーバーなしで、どのブラウザーでも再生できます";
    export_plrec: "Recording (.plrec)", "記録(.plrec)";
    export_plrec_help: "to open here again, or with podlab replay", "ここで開き直すか、podlab replay で再生できます";
    export_jsonl: "Events as JSON lines", "イベント(JSON Lines)";
    export_pcapng: "Packets (pcapng)", "パケット(pcapng)";
    export_pcapng_help: "for Wireshark", "Wireshark 用";
    export_har: "HTTP archive (HAR)", "HTTP アーカイブ(HAR)";
    export_har_help: "for the network panel of a browser", "ブラウザーのネットワークパネル用";
    export_otlp: "OpenTelemetry (JSON)", "OpenTelemetry(JSON)";
    export_svg: "This view as SVG", "この表示を SVG で";
    export_png: "This view as PNG", "この表示を PNG で";
    open_recording: "Open a recording", "記録を開く";
    open_help: "Drop a .plrec file anywhere on this page, or choose one. It becomes a world, paused at its end, that you can rewind and go on with.",
        ".plrec ファイルをこのページにドロップするか、選択してください。記録の末尾で一時停止した世界として開き、巻き戻すことも続きを動かすこともできます。";
    open_reading: "Playing {} to its end…", "{} を末尾まで再生しています…";
    open_failed: "{} cannot be opened: {}", "{} を開けません:{}";
    open_too_large: "{} is larger than the 128 MiB that the page takes. Open it with `podlab up --recording FILE`.",
        "{} はこのページで開ける上限 128 MiB を超えています。`podlab up --recording FILE` で開いてください。";
    open_differs: "Played here, the recording does not do what it did where it was made: that was another build of Podlab.",
        "この環境で再生すると、記録時と異なる動きになりました。別のビルドの Podlab で作られた記録です。";
    open_cut: "The file was cut short: {} bytes at its end are missing from the world.", "ファイルの末尾が欠けており、{} バイト分は世界に含まれません。";
    recording: "Recording", "記録";
    recording_stands: "Recording, paused", "記録(一時停止中)";
    recording_plays: "Recording, playing", "記録(再生中)";
    recording_about: "This is a recording in one file: look, scrub and step as you like. What needs a running world (terminal, requests, faults, exercises) is not here; `podlab up` has it.",
        "1 つのファイルに収めた記録です。自由に見て、時刻を動かし、一歩ずつ進められます。動いている世界が必要な操作(ターミナル、リクエスト送信、障害の注入、演習)はここにはありません。`podlab up` で使えます。";
    not_in_a_recording: "This is a recording: nothing can be done to it. Start the pattern with `podlab up`.",
        "これは記録なので操作できません。`podlab up` でパターンを動かしてください。";
    to_end: "To the end", "末尾へ";
    older: "Fetching what happened then…", "その時点の記録を取得しています…";
    difficulty: "Difficulty {} of {}", "難易度 {}/{}";
    footer: "No login, nothing leaves this machine.", "ログイン不要。データはこのマシンの外に出ません。";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_take_the_same_values() {
        for (name, en, ja) in ALL {
            assert!(!en.is_empty() && !ja.is_empty(), "{name}");
            assert_eq!(en.matches("{}").count(), ja.matches("{}").count(), "{name}");
        }
    }

    #[test]
    fn values_are_filled_in_order() {
        assert_eq!(fill("{} and {}", &["a", "b"]), "a and b");
        assert_eq!(fill("none", &["a"]), "none");
        assert_eq!(fill("{}!", &[]), "!");
    }
}
