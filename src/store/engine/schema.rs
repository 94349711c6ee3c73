//! The tables, in the types that both databases share. A test compares this with what the migrations create.

diesel::table! { contacts (id) { id -> BigInt, external_id -> Nullable<Text>, email -> Nullable<Text>, phone -> Nullable<Text>, first_name -> Nullable<Text>, last_name -> Nullable<Text>, timezone -> Nullable<Text>, locale -> Nullable<Text>, attributes -> Text, version -> BigInt, created_at -> BigInt, updated_at -> BigInt, deleted_at -> Nullable<BigInt>, introduced_at -> Nullable<BigInt>, untracked -> Bool, } }

diesel::table! { attribute_keys (name) { name -> Text, created_at -> BigInt, unused_since -> Nullable<BigInt>, } }

diesel::table! { lists (id) { id -> BigInt, name -> Text, description -> Text, created_at -> BigInt, updated_at -> BigInt, slug -> Nullable<Text>, default_opt_in -> Bool, double_opt_in -> Bool, public -> Bool, public_title -> Text, public_description -> Text, } }

diesel::table! { list_members (list_id, contact_id) { list_id -> BigInt, contact_id -> BigInt, created_at -> BigInt, status_at -> Nullable<BigInt>, source -> Nullable<Text>, status -> Text, } }

diesel::table! { templates (id) { id -> BigInt, name -> Text, channel -> Text, created_at -> BigInt, updated_at -> BigInt, deleted_at -> Nullable<BigInt>, category -> Text, tracking -> Text, } }

diesel::table! { template_versions (id) { id -> BigInt, template_id -> Nullable<BigInt>, version -> BigInt, subject -> Text, body_text -> Text, body_html -> Nullable<Text>, created_at -> BigInt, email -> Text, literal -> Text, } }

diesel::table! { campaigns (id) { id -> BigInt, name -> Text, channel -> Text, status -> Text, status_version -> BigInt, pool -> Nullable<Text>, template_id -> Nullable<BigInt>, template_version_id -> Nullable<BigInt>, audience -> Nullable<Text>, on_uncertain -> Text, rate_per_second -> Nullable<Double>, scheduled_at -> Nullable<BigInt>, key -> Nullable<Text>, correlation_id -> Nullable<Text>, outcome -> Nullable<Text>, content_doubt -> Nullable<Text>, launch_error_code -> Nullable<Text>, launch_error_detail -> Nullable<Text>, created_at -> BigInt, updated_at -> BigInt, launched_at -> Nullable<BigInt>, ended_at -> Nullable<BigInt>, deleted_at -> Nullable<BigInt>, refusal_doubt -> Nullable<Text>, retry_for_ms -> Nullable<BigInt>, rewound_at -> Nullable<BigInt>, category -> Text, topic_id -> Nullable<BigInt>, link_kid -> Nullable<Text>, scheduled_scope -> Nullable<Text>, scheduled_category -> Nullable<Text>, tracking -> Nullable<Text>, } }

diesel::table! { campaign_email (campaign_id) { campaign_id -> BigInt, email -> Text, } }

diesel::table! { campaign_details (campaign_id) { campaign_id -> BigInt, description -> Text, props -> Nullable<Text>, } }

diesel::table! { files (id) { id -> BigInt, name -> Text, content_type -> Text, size -> BigInt, sha256 -> Text, bytes -> Binary, created_at -> BigInt, } }

diesel::table! { packings (campaign_id) { campaign_id -> BigInt, cursor_contact_id -> BigInt, max_contact_id -> BigInt, next_page -> BigInt, expected -> BigInt, unreachable -> BigInt, done -> Bool, sweep -> Nullable<Text>, sweep_page_id -> BigInt, sweep_class -> Nullable<Text>, move_page_id -> Nullable<BigInt>, move_provider -> Nullable<BigInt>, } }

diesel::table! { former_pools (campaign_id, pool) { campaign_id -> BigInt, pool -> Text, left_at -> BigInt, } }

diesel::table! { audience_contacts (campaign_id, contact_id, excluded) { campaign_id -> BigInt, contact_id -> BigInt, excluded -> Bool, } }

diesel::table! { audience_lists (campaign_id, list_id, excluded) { campaign_id -> BigInt, list_id -> BigInt, excluded -> Bool, } }

diesel::table! { pages (id) { id -> BigInt, campaign_id -> BigInt, seq -> BigInt, pool -> Text, first_contact_id -> BigInt, last_contact_id -> BigInt, size -> BigInt, state -> Text, due_at -> BigInt, lease_instance_id -> Nullable<BigInt>, lease_generation -> Nullable<BigInt>, lease_token -> Nullable<BigInt>, lease_until -> Nullable<BigInt>, progress_at -> Nullable<BigInt>, lease_settled -> BigInt, deaths -> BigInt, pending -> BigInt, sending -> BigInt, sent -> BigInt, failed -> BigInt, skipped -> BigInt, uncertain -> BigInt, announced_at -> Nullable<BigInt>, } }

diesel::table! { deliveries (campaign_id, contact_id) { campaign_id -> BigInt, contact_id -> BigInt, page_id -> BigInt, due_at -> BigInt, token -> Nullable<BigInt>, provider_key_until -> Nullable<BigInt>, contact_version -> Nullable<BigInt>, claimed_at -> Nullable<BigInt>, settled_at -> Nullable<BigInt>, claim_no -> Integer, attempts -> Integer, deaths -> Integer, ambiguous -> Bool, state -> Text, reason -> Nullable<Text>, category -> Nullable<Text>, provider_id -> Nullable<Text>, answer_class -> Nullable<Text>, put_offs -> Integer, provider_fingerprint -> Nullable<BigInt>, reported -> Integer, } }

diesel::table! { delivery_contents (campaign_id, contact_id) { campaign_id -> BigInt, contact_id -> BigInt, content -> Text, } }

diesel::table! { imports (id) { id -> BigInt, status -> Text, list_id -> Nullable<BigInt>, file -> Text, byte_offset -> BigInt, line -> BigInt, rows_read -> BigInt, rows_created -> BigInt, rows_updated -> BigInt, rows_rejected -> BigInt, rejected -> Text, error -> Nullable<Text>, created_at -> BigInt, updated_at -> BigInt, confirmed -> Bool, resubscribe_reason -> Nullable<Text>, resubscribed -> BigInt, stay_refused -> BigInt, dropped_cells -> BigInt, dropped -> Text, encoding -> Nullable<Text>, preset -> Nullable<Text>, mapping -> Text, rows_suppressed -> BigInt, bytes -> Nullable<BigInt>, format -> Text, file_columns -> Nullable<Text>, } }

diesel::table! { import_rejections (import_id, byte_offset) { import_id -> BigInt, byte_offset -> BigInt, text -> Text, } }

diesel::table! { api_keys (id) { id -> BigInt, name -> Text, prefix -> Text, hash -> Text, created_at -> BigInt, last_used_at -> Nullable<BigInt>, revoked_at -> Nullable<BigInt>, scope -> Text, expires_at -> Nullable<BigInt>, source -> Nullable<Text>, } }

diesel::table! { sessions (id) { id -> BigInt, hash -> Text, api_key_id -> Nullable<BigInt>, created_at -> BigInt, seen_at -> BigInt, } }

diesel::table! { audit_log (id) { id -> BigInt, at -> BigInt, actor -> Text, api_key_id -> Nullable<BigInt>, ip -> Nullable<Text>, action -> Text, object -> Text, object_id -> Nullable<Text>, before -> Nullable<Text>, after -> Nullable<Text>, request_id -> Nullable<Text>, session_id -> Nullable<BigInt>, } }

diesel::table! { idempotency_keys (scope, key) { scope -> Text, key -> Text, request_hash -> Text, holder -> BigInt, status -> Integer, body -> Text, location -> Nullable<Text>, created_at -> BigInt, } }

diesel::table! { instances (id) { id -> BigInt, slot -> Text, host -> Text, version -> Text, boot_id -> Text, started_at -> BigInt, last_seen_at -> BigInt, stopped_at -> Nullable<BigInt>, pools -> Text, in_flight -> BigInt, role -> Text, troubles -> Text, } }

diesel::table! { notices (scope, subject, version, instance_id) { scope -> Text, subject -> Text, version -> BigInt, instance_id -> BigInt, action -> Text, noted_at -> BigInt, acknowledged_at -> Nullable<BigInt>, in_flight -> Nullable<BigInt>, last_begun_at -> Nullable<BigInt>, } }

diesel::table! { rate_buckets (scope) { scope -> Text, tokens -> Double, counted_at -> BigInt, } }

diesel::table! { pool_switches (pool) { pool -> Text, version -> BigInt, suspended -> Bool, reason -> Nullable<Text>, expires_at -> Nullable<BigInt>, changed_at -> BigInt, } }

diesel::table! { database_history (id) { id -> BigInt, system_id -> BigInt, timeline -> BigInt, noted_at -> BigInt, } }
diesel::table! { pool_paces (pool) { pool -> Text, version -> BigInt, state -> Text, changed_at -> BigInt, } }

diesel::table! { suppressions (address, channel, topic) { address -> Text, channel -> Text, topic -> BigInt, unsubscribed_at -> Nullable<BigInt>, complained_at -> Nullable<BigInt>, bounced_at -> Nullable<BigInt>, soft_until -> Nullable<BigInt>, blocked_at -> Nullable<BigInt>, source -> Nullable<Text>, created_at -> BigInt, updated_at -> BigInt, stopped_at -> Nullable<BigInt>, } }

diesel::table! { blocked_domains (domain) { domain -> Text, blocked_at -> BigInt, source -> Nullable<Text>, } }

diesel::table! { consent_log (id) { id -> BigInt, at -> BigInt, contact_id -> Nullable<BigInt>, list_id -> Nullable<BigInt>, channel -> Nullable<Text>, before -> Nullable<Text>, after -> Nullable<Text>, source -> Text, note -> Nullable<Text>, campaign_id -> Nullable<BigInt>, request_id -> Nullable<Text>, refusal_id -> Nullable<Text>, address -> Nullable<Text>, ip -> Nullable<Text>, user_agent -> Nullable<Text>, } }

diesel::table! { tags (id) { id -> BigInt, name -> Text, created_at -> BigInt, } }

diesel::table! { contact_tags (tag_id, contact_id) { tag_id -> BigInt, contact_id -> BigInt, created_at -> BigInt, } }

diesel::table! { audience_tags (campaign_id, tag_id, excluded) { campaign_id -> BigInt, tag_id -> BigInt, excluded -> Bool, } }

diesel::table! { page_skips (campaign_id, page_id, reason) { campaign_id -> BigInt, page_id -> BigInt, reason -> Text, n -> BigInt, } }

diesel::table! { campaign_minutes (campaign_id, minute, instance_id) { campaign_id -> BigInt, minute -> BigInt, instance_id -> BigInt, sent -> BigInt, failed -> BigInt, skipped -> BigInt, uncertain -> BigInt, deferred -> BigInt, retried -> BigInt, resolved -> BigInt, } }

diesel::table! { attempts (campaign_id, contact_id, claim_no) { campaign_id -> BigInt, contact_id -> BigInt, claim_no -> Integer, state -> Text, category -> Nullable<Text>, answer_class -> Nullable<Text>, reason -> Nullable<Text>, at -> BigInt, } }

diesel::table! { archives (campaign_id) { campaign_id -> BigInt, state -> Text, token -> BigInt, slot -> Text, host -> Text, lease_until -> BigInt, file -> Nullable<Text>, sha256 -> Nullable<Text>, bytes -> Nullable<BigInt>, deliveries -> Nullable<BigInt>, archived_at -> Nullable<BigInt>, } }

diesel::table! { campaign_reasons (campaign_id, state, category, answer_class) { campaign_id -> BigInt, state -> Text, category -> Text, answer_class -> Text, n -> BigInt, } }

diesel::table! { link_keys (kid) { kid -> Text, secret -> Text, created_at -> BigInt, } }

diesel::table! { events (id) { id -> BigInt, contact_id -> BigInt, name -> Text, properties -> Text, occurred_at -> BigInt, received_at -> BigInt, source -> Text, } }

diesel::table! { event_keys (source, key) { source -> Text, key -> Text, body_hash -> Text, event_id -> BigInt, at -> BigInt, } }

diesel::table! { page_reports (campaign_id, page_id) { campaign_id -> BigInt, page_id -> BigInt, delivered -> BigInt, delivered_total -> BigInt, soft_bounced -> BigInt, soft_bounced_total -> BigInt, hard_bounced -> BigInt, hard_bounced_total -> BigInt, complained -> BigInt, complained_total -> BigInt, opened -> BigInt, opened_total -> BigInt, machine_opened -> BigInt, machine_opened_total -> BigInt, clicked -> BigInt, clicked_total -> BigInt, machine_clicked -> BigInt, machine_clicked_total -> BigInt, replied -> BigInt, replied_total -> BigInt, unsubscribed -> BigInt, unsubscribed_total -> BigInt, rejected_later -> BigInt, rejected_later_total -> BigInt, refused -> BigInt, } }

diesel::table! { campaign_brakes (campaign_id, kind) { campaign_id -> BigInt, kind -> Text, part -> BigInt, whole -> BigInt, pulled_at -> BigInt, released_at -> Nullable<BigInt>, } }

diesel::table! { callbacks (id) { id -> BigInt, pool -> Text, format -> Text, content_type -> Text, key -> Text, body -> Nullable<Text>, received_at -> BigInt, state -> Text, attempts -> Integer, next_attempt_at -> BigInt, error -> Nullable<Text>, } }

diesel::table! { campaign_links (campaign_id, link) { campaign_id -> BigInt, link -> BigInt, address -> Text, clicks -> BigInt, recipients -> BigInt, machine_clicks -> BigInt, machine_recipients -> BigInt, } }

diesel::table! { link_followers (campaign_id, link, contact_id, machine) { campaign_id -> BigInt, link -> BigInt, contact_id -> BigInt, machine -> Bool, } }

diesel::table! { deliverability (day, pool, domain) { day -> BigInt, pool -> Text, domain -> Text, sent -> BigInt, delivered -> BigInt, soft_bounced -> BigInt, hard_bounced -> BigInt, complained -> BigInt, } }

diesel::table! { deliverability_news (id) { id -> BigInt, day -> BigInt, pool -> Text, domain -> Text, sent -> BigInt, delivered -> BigInt, soft_bounced -> BigInt, hard_bounced -> BigInt, complained -> BigInt, } }

diesel::table! { segments (id) { id -> BigInt, name -> Text, slug -> Text, description -> Text, kind -> Text, criteria -> Nullable<Text>, version -> BigInt, enabled -> Bool, state -> Text, cursor_contact_id -> BigInt, build_max_id -> Nullable<BigInt>, first_build -> Bool, min_dwell_ms -> Nullable<BigInt>, max_dwell_ms -> Nullable<BigInt>, dwell -> Text, marks_since -> BigInt, entry_limit -> Text, entry_period_ms -> Nullable<BigInt>, problem -> Nullable<Text>, created_at -> BigInt, updated_at -> BigInt, deleted_at -> Nullable<BigInt>, reactions -> Text, } }

diesel::table! { touches (shard, id) { id -> BigInt, shard -> Integer, contact_id -> BigInt, topic -> Text, at -> BigInt, depth -> Integer, } }

diesel::table! { contact_timers (contact_id) { contact_id -> BigInt, shard -> Integer, due_at -> BigInt, } }

diesel::table! { segment_shards (shard) { shard -> Integer, } }

diesel::table! { segment_members (segment_id, contact_id, epoch) { segment_id -> BigInt, contact_id -> BigInt, epoch -> BigInt, entered_at -> BigInt, dwell_from -> BigInt, left_at -> Nullable<BigInt>, reason -> Nullable<Text>, closed_at -> Nullable<BigInt>, dwell_done -> BigInt, dwell_n -> BigInt, } }

diesel::table! { segment_transitions (segment_id, contact_id, epoch, kind, ordinal) { segment_id -> BigInt, contact_id -> BigInt, epoch -> BigInt, kind -> Text, ordinal -> BigInt, at -> BigInt, source -> Text, reason -> Nullable<Text>, mark -> Nullable<Text>, mark_count -> Nullable<BigInt>, emit -> Bool, depth -> Integer, } }

diesel::table! { segment_ranges (id) { id -> BigInt, cursor_contact_id -> BigInt, last_contact_id -> BigInt, import_id -> Nullable<BigInt>, created_at -> BigInt, } }

diesel::table! { reaction_shards (shard) { shard -> Integer, } }

diesel::table! { known_targets (name, event) { name -> Text, event -> Text, seen_at -> BigInt, } }

diesel::table! { reactions_due (id) { id -> BigInt, kind -> Text, shard -> Integer, segment_id -> Nullable<BigInt>, contact_id -> Nullable<BigInt>, campaign_id -> Nullable<BigInt>, key -> Text, event -> Text, at -> BigInt, depth -> Integer, target -> Nullable<Text>, content -> Text, state -> Text, attempts -> Integer, due_at -> BigInt, error -> Nullable<Text>, created_at -> BigInt, } }

diesel::allow_tables_to_appear_in_same_query!(
    contacts,
    attribute_keys,
    lists,
    list_members,
    templates,
    template_versions,
    campaign_email,
    campaign_details,
    files,
    campaigns,
    packings,
    former_pools,
    audience_contacts,
    audience_lists,
    pages,
    deliveries,
    delivery_contents,
    imports,
    import_rejections,
    api_keys,
    sessions,
    audit_log,
    idempotency_keys,
    instances,
    notices,
    rate_buckets,
    pool_switches,
    database_history,
    pool_paces,
    suppressions,
    blocked_domains,
    consent_log,
    tags,
    contact_tags,
    audience_tags,
    page_skips,
    campaign_minutes,
    attempts,
    archives,
    campaign_reasons,
    link_keys,
    events,
    event_keys,
    page_reports,
    campaign_brakes,
    callbacks,
    campaign_links,
    link_followers,
    deliverability,
    deliverability_news,
    segments,
    touches,
    contact_timers,
    segment_shards,
    segment_members,
    segment_transitions,
    segment_ranges,
    reaction_shards,
    reactions_due,
    known_targets,
);
