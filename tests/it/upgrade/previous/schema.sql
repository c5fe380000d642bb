--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: tarana_base_stations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tarana_base_stations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    serial_number text NOT NULL,
    hostname text NOT NULL,
    site_name text NOT NULL,
    active_connections integer DEFAULT 0,
    market text,
    lat numeric(10,6) NOT NULL,
    lng numeric(10,6) NOT NULL,
    region text DEFAULT 'South Africa'::text,
    last_updated timestamp with time zone DEFAULT now(),
    created_at timestamp with time zone DEFAULT now(),
    height_m numeric(8,2),
    azimuth_deg numeric(5,2),
    band text,
    device_status integer DEFAULT 0,
    region_id integer,
    market_id integer,
    site_id integer,
    cell_id integer,
    sector_id integer,
    cell_name text,
    sector_name text,
    network_profile_id integer,
    bandwidth_mhz integer
);


--
-- Name: tarana_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tarana_migrations (
    version integer NOT NULL,
    description text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: tarana_sync_change_batches; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tarana_sync_change_batches (
    run uuid NOT NULL,
    first integer NOT NULL,
    op text NOT NULL,
    applied boolean NOT NULL,
    changes json,
    serial_number text[],
    hostname text[],
    site_name text[],
    active_connections integer[],
    market text[],
    lat numeric[],
    lng numeric[],
    region text[],
    height_m numeric[],
    azimuth_deg numeric[],
    band text[],
    device_status integer[],
    region_id integer[],
    market_id integer[],
    site_id integer[],
    cell_id integer[],
    sector_id integer[],
    cell_name text[],
    sector_name text[],
    CONSTRAINT tarana_sync_change_batches_one_form CHECK (((changes IS NULL) <> (serial_number IS NULL))),
    CONSTRAINT tarana_sync_change_batches_op_check CHECK ((op = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text])))
);
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN changes SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN serial_number SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN hostname SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN site_name SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN active_connections SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN market SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN lat SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN lng SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN region SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN height_m SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN azimuth_deg SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN band SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN device_status SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN region_id SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN market_id SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN site_id SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN cell_id SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN sector_id SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN cell_name SET COMPRESSION lz4;
ALTER TABLE ONLY public.tarana_sync_change_batches ALTER COLUMN sector_name SET COMPRESSION lz4;


--
-- Name: tarana_sync_changes; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.tarana_sync_changes WITH (security_invoker='true') AS
 SELECT b.run,
    (((b.first + c."position") - 1))::integer AS seq,
    (c.change ->> 'serial'::text) AS serial,
    b.op,
    (c.change -> 'before'::text) AS before,
    (c.change -> 'after'::text) AS after,
    b.applied
   FROM public.tarana_sync_change_batches b,
    LATERAL json_array_elements(b.changes) WITH ORDINALITY c(change, "position")
UNION ALL
 SELECT b.run,
    (((b.first + r."position") - 1))::integer AS seq,
    r.serial_number AS serial,
    b.op,
        CASE
            WHEN (b.op = 'delete'::text) THEN w.whole
            ELSE NULL::json
        END AS before,
        CASE
            WHEN (b.op = 'insert'::text) THEN w.whole
            ELSE NULL::json
        END AS after,
    b.applied
   FROM public.tarana_sync_change_batches b,
    LATERAL UNNEST(b.serial_number, b.hostname, b.site_name, b.active_connections, b.market, b.lat, b.lng, b.region, b.height_m, b.azimuth_deg, b.band, b.device_status, b.region_id, b.market_id, b.site_id, b.cell_id, b.sector_id, b.cell_name, b.sector_name) WITH ORDINALITY r(serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg, band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name, "position"),
    LATERAL ( SELECT json_build_object('serial_number', r.serial_number, 'hostname', r.hostname, 'site_name', r.site_name, 'active_connections', r.active_connections, 'market', r.market, 'lat', r.lat, 'lng', r.lng, 'region', r.region, 'height_m', r.height_m, 'azimuth_deg', r.azimuth_deg, 'band', r.band, 'device_status', r.device_status, 'region_id', r.region_id, 'market_id', r.market_id, 'site_id', r.site_id, 'cell_id', r.cell_id, 'sector_id', r.sector_id, 'cell_name', r.cell_name, 'sector_name', r.sector_name) AS whole) w;


--
-- Name: tarana_sync_logs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tarana_sync_logs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    trigger_type text DEFAULT 'cron'::text NOT NULL,
    triggered_by uuid,
    stations_fetched integer DEFAULT 0,
    inserted integer DEFAULT 0,
    updated integer DEFAULT 0,
    deleted integer DEFAULT 0,
    errors jsonb DEFAULT '[]'::jsonb,
    attempt integer DEFAULT 1,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_ms integer,
    created_at timestamp with time zone DEFAULT now(),
    namespace text,
    name text,
    connection text,
    connection_uid uuid,
    actor text,
    dry_run boolean,
    delete_stale boolean,
    outcome text,
    reason text,
    message text,
    unchanged integer,
    skipped integer,
    withheld integer,
    fence bigint,
    heartbeat_at timestamp with time zone,
    listing text,
    proof text,
    cluster_uid uuid,
    CONSTRAINT tarana_sync_logs_outcome_check CHECK ((outcome = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT tarana_sync_logs_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'completed'::text, 'failed'::text]))),
    CONSTRAINT tarana_sync_logs_trigger_type_check CHECK ((trigger_type = ANY (ARRAY['cron'::text, 'manual'::text])))
);


--
-- Name: tarana_sync_outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tarana_sync_outbox (
    id bigint NOT NULL,
    run uuid NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    delivered_at timestamp with time zone
);


--
-- Name: tarana_sync_outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.tarana_sync_outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tarana_sync_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Data for Name: tarana_base_stations; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tarana_base_stations (id, serial_number, hostname, site_name, active_connections, market, lat, lng, region, last_updated, created_at, height_m, azimuth_deg, band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name, network_profile_id, bandwidth_mhz) FROM stdin;
35b6ad31-8ad3-4e75-9390-1e0c43e8f61a	S134F0000000230	X9069-BN-135	Sundown Mall 68	0	Lowveld East	-25.183447	31.418285	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1721.40	135.00	5ghz	1	1075	9608	94969	95369	90630	X9069	X9069-BN-135	\N	\N
b8524da5-4d43-469c-a4f3-980faf8e00d3	S134F0000000231	X9069-BN-225	Sundown Mall 68	0	Lowveld East	-25.183450	31.418336	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1690.50	225.00	5ghz	1	1075	9608	94969	95369	90631	X9069	X9069-BN-225	\N	\N
8344ddd2-196d-4322-b9df-0337c1d94faa	S134F0000000249	X9079-BN-45	Groot Quarry 78	0	Lowveld East	-25.722650	31.629218	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	802.30	45.00	5ghz	0	1075	9608	94979	95379	90649	X9079	X9079-BN-45	\N	\N
9bb90666-c790-4dca-9c44-d5e1471bada5	S134F0000000259	X9084-BN-45	O'Kiep Depot 83	0	Lowveld East	-25.681960	31.866576	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1365.70	45.00	5ghz	1	1075	9608	94984	95384	90659	X9084	X9084-BN-45	\N	\N
4b1b9a9b-8b2d-4ccf-af5b-c5e56872612c	S134F0000000260	X9084-BN-147.5	O'Kiep Depot 83	0	Lowveld East	-25.681963	31.866595	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1350.90	147.50	5ghz	1	1075	9608	94984	95384	90660	X9084	X9084-BN-147.5	\N	\N
e2447dad-becb-49b8-8191-693a174d69cd	S134F0000000335	X9125-BN-45	Old Quarry 124	0	Lowveld East	-25.793414	31.428542	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1348.60	45.00	5ghz	1	1075	9608	95025	95425	90735	X9125	X9125-BN-45	\N	\N
04e82e8c-2ccd-4b7a-a722-ca12a01eecc9	S134F0000000382	X9149-BN-45	Old Depot 148	0	Lowveld East	-25.134229	31.226498	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1045.60	45.00	5ghz	1	1075	9608	95049	95449	90782	X9149	X9149-BN-45	\N	\N
db43ac05-b29f-4acb-8048-e4164846bcd4	S134F0000000383	X9149-BN-135	Old Depot 148	0	Lowveld East	-25.134198	31.226444	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1051.60	135.00	5ghz	1	1075	9608	95049	95449	90783	X9149	X9149-BN-135	\N	\N
17ee9d7c-5138-4574-8e5a-0696847d726e	S134F0000000391	X9152-BN-45	O'Kiep Ridge 151	0	Lowveld East	-25.253742	31.469576	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	977.00	45.00	5ghz	1	1075	9608	95052	95452	90791	X9152	X9152-BN-45	\N	\N
699f221a-2dd0-40f6-8288-717fb59291a9	S134F0000000392	X9152-BN-135	O'Kiep Ridge 151	0	Lowveld East	-25.253755	31.469593	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	985.20	135.00	5ghz	1	1075	9608	95052	95452	90792	X9152	X9152-BN-135	\N	\N
24a66b00-c851-4ec6-9611-7878838171d7	S134F0000000394	X9154-BN-45	Rooi Farm 153	0	Lowveld East	-25.427627	31.875840	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	124.80	45.00	5ghz	1	1075	9608	95054	95454	90794	X9154	X9154-BN-45	\N	\N
5985c319-c8ec-4d9f-9b1a-f147b5fc17df	S134F0000000395	X9154-BN-135	Rooi Farm 153	0	Lowveld East	-25.427628	31.875914	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	130.60	135.00	5ghz	1	1075	9608	95054	95454	90795	X9154	X9154-BN-135	\N	\N
907ab703-bb5c-4bf3-95f3-61bf74cef27a	S134F0000000426	X9173-BN-45	Groot Mast 172	0	Lowveld East	-25.330565	31.353308	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1682.90	45.00	5ghz	1	1075	9608	95073	95473	90826	X9173	X9173-BN-45	\N	\N
232821c0-4976-4327-a0ea-409db0895a7f	S134F0000000427	X9173-BN-135	Groot Mast 172	0	Lowveld East	-25.330532	31.353296	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1716.70	135.00	5ghz	1	1075	9608	95073	95473	90827	X9173	X9173-BN-135	\N	\N
f896bdb2-7659-4302-bc28-5b90706a15b7	S134F0000000428	X9173-BN-225	Groot Mast 172	0	Lowveld East	-25.330504	31.353320	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1695.80	225.00	5ghz	1	1075	9608	95073	95473	90828	X9173	X9173-BN-225	\N	\N
1dbf0e70-b54e-4da9-95e3-a65c6e940ad9	S134F0000000522	X9222-BN-45	Upper Depot 221	0	Lowveld East	-25.789405	31.280067	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	911.00	45.00	5ghz	1	1075	9608	95122	95522	90922	X9222	X9222-BN-45	\N	\N
580c9ded-32d1-4a4b-8916-97030a120042	S134F0000000523	X9222-BN-135	Upper Depot 221	0	Lowveld East	-25.789442	31.280109	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	926.60	135.00	6ghz	1	1075	9608	95122	95522	90923	X9222	X9222-BN-135	\N	\N
14623d75-67a5-4d40-ae3f-8c940ecfc3c3	S134F0000000524	X9222-BN-225	Upper Depot 221	0	Lowveld East	-25.789386	31.280085	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	892.70	225.00	5ghz	1	1075	9608	95122	95522	90924	X9222	X9222-BN-225	\N	\N
cc52f17d-96d8-4c98-a307-b863b733ce3d	S134F0000000525	X9223-BN-57.5	Müller's Silo 222	0	Lowveld East	-25.407237	31.280337	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	859.30	57.50	5ghz	1	1075	9608	95123	95523	90925	X9223	X9223-BN-57.5	\N	\N
f2c124e0-a496-4105-b79d-60fcbd9eef13	S134F0000000571	X9250-BN-45	Müller's Reservoir 249	0	Lowveld East	-25.788620	31.327617	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	732.00	45.00	5ghz	1	1075	9608	95150	95550	90971	X9250	X9250-BN-45	\N	\N
02707251-a30b-4235-a19c-0bfc16f0e10e	S134F0000000609	X9270-BN-45	Rooi Quarry 269	0	Lowveld East	-25.253769	31.418313	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	368.80	45.00	5ghz	1	1075	9608	95170	95570	91009	X9270	X9270-BN-45	\N	\N
6e4e8aaa-e8e4-4c4a-9257-f8aed5433214	S134F0000000610	X9270-BN-135	Rooi Quarry 269	0	Lowveld East	-25.253753	31.418318	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	414.70	135.00	5ghz	1	1075	9608	95170	95570	91010	X9270	X9270-BN-135	\N	\N
bfe6691c-00c1-4e90-86cf-c1406ed284f7	S134F0000000676	X9303-BN-0	Doring Mast 302	0	Lowveld East	-25.462428	31.289910	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	825.60	0.00	6ghz	0	1075	9608	95203	95603	91076	X9303	X9303-BN-0	\N	\N
efee9f05-f42b-4dbe-97bf-06e757c69a8d	S134F0000000695	X9315-BN-45	New Reservoir 314	0	Lowveld East	-25.771803	31.628427	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	344.80	45.00	5ghz	1	1075	9608	95215	95615	91095	X9315	X9315-BN-45	\N	\N
eba780ec-10f1-40aa-a1ed-a096c57032d3	S134F0000000696	X9315-BN-135	New Reservoir 314	0	Lowveld East	-25.771786	31.628382	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	347.70	135.00	5ghz	1	1075	9608	95215	95615	91096	X9315	X9315-BN-135	\N	\N
96110586-ed01-468e-9013-2f3ec3f6e79f	S134F0000000697	X9315-BN-225	New Reservoir 314	0	Lowveld East	-25.771791	31.628417	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	371.50	225.00	5ghz	1	1075	9608	95215	95615	91097	X9315	X9315-BN-225	\N	\N
a2c9b186-c4c0-4ca7-aff7-16c2b1bf56a0	S134F0000000717	X9325-BN-57.5	Old Reservoir 324	0	Lowveld East	-25.246061	31.598790	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1015.00	57.50	5ghz	1	1075	9608	95225	95625	91117	X9325	X9325-BN-57.5	\N	\N
3ed87089-4cd8-44fa-8114-14df3566edb3	S134F0000000718	X9325-BN-135	Old Reservoir 324	0	Lowveld East	-25.246140	31.598816	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1016.90	135.00	5ghz	1	1075	9608	95225	95625	91118	X9325	X9325-BN-135	\N	\N
85065d92-4e08-4bca-921a-e822101deb8c	S134F0000000730	X9332-BN-45	Upper Quarry 331	0	Lowveld East	-25.080556	31.592232	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1251.50	45.00	6ghz	1	1075	9608	95232	95632	91130	X9332	X9332-BN-45	\N	\N
169c4319-c4e0-43bd-8e76-6b39e945d219	S134F0000000761	X9352-BN-45	North Ridge 351	0	Lowveld East	-25.214404	31.690791	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1489.90	45.00	5ghz	1	1075	9608	95252	95652	91161	X9352	X9352-BN-45	\N	\N
74f58d97-8581-40d3-be40-8218b6cc9042	S134F0000000762	X9352-BN-135	North Ridge 351	0	Lowveld East	-25.214350	31.690806	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1484.00	135.00	5ghz	1	1075	9608	95252	95652	91162	X9352	X9352-BN-135	\N	\N
461da819-5872-413f-a4f5-bbb26468e551	S134F0000000805	X9375-BN-45	Fictional Quarry 374	0	Lowveld East	-25.725240	31.959252	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1356.10	45.00	5ghz	1	1075	9608	95275	95675	91205	X9375	X9375-BN-45	\N	\N
aa931def-716f-4b84-b054-9f483e6c55f1	S134F0000000806	X9375-BN-135	Fictional Quarry 374	0	Lowveld East	-25.725274	31.959277	Lowveld	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:18.246272+00	1336.60	135.00	5ghz	1	1075	9608	95275	95675	91206	X9375	X9375-BN-135	\N	\N
3190b34f-6c30-466a-9a5b-83e3f57f3ee4	S134F0000000105	X9003-BN-45	Doring Water Tower 2	0	Lowveld East	-25.202457	31.530022	Lowveld	2026-11-27 20:32:19.51238+00	2026-11-27 20:32:18.246272+00	841.70	45.00	5ghz	1	1075	9608	94903	95303	90505	X9003	X9003-BN-45	7	40
db09905b-9c26-4120-8502-52fd05faa280	S134F0000000106	X9003-BN-135	Doring Water Tower 2	0	Lowveld East	-25.202408	31.530055	Lowveld	2026-11-27 20:32:19.51238+00	2026-11-27 20:32:18.246272+00	871.10	135.00	5ghz	1	1075	9608	94903	95303	90506	X9003	X9003-BN-135	7	40
5c4c2738-86da-4218-8d67-40395d52b5b2	S134F0000000110	X9007-BN-45	Two Rivers Depot 6	0	Lowveld East	-25.103294	31.239569	Lowveld	2026-11-27 20:32:19.51238+00	2026-11-27 20:32:18.246272+00	1002.20	45.00	5ghz	1	1075	9608	94907	95307	90510	X9007	X9007-BN-45	7	40
9357ed4c-bb4c-464b-af97-291af128a631	S134F0000000111	X9007-BN-135	Two Rivers Depot 6	0	Lowveld East	-25.103338	31.239534	Lowveld	2026-11-27 20:32:19.51238+00	2026-11-27 20:32:18.246272+00	1007.30	135.00	5ghz	0	1075	9608	94907	95307	90511	X9007	X9007-BN-135	7	40
967945c2-cfb2-41ca-8334-1999c7de55aa	S134F0000000229	X9069-BN-45	Sundown Mall 68	0	Lowveld East	-25.183482	31.418269	Lowveld	2026-11-27 20:32:19.51238+00	2026-11-27 20:32:18.246272+00	1708.00	45.00	5ghz	1	1075	9608	94969	95369	90629	X9069	X9069-BN-45	7	40
\.


--
-- Data for Name: tarana_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tarana_migrations (version, description, checksum, applied_at) FROM stdin;
1	stations	e6a822ef2da95ace75663375852807fa48e9418c93e54326976222b942004c73	2026-11-27 20:32:17.205571+00
2	logs	efc04456d0c4035aa89067cd69f07606fd6069183bbe8ed8ca714ab4e138676f	2026-11-27 20:32:17.205571+00
3	changes	4b2c774fbab9332c2831f79ffc1cade15b66d17dd93c0b09188f920a29982cdc	2026-11-27 20:32:17.205571+00
4	outbox	3ff6d1667ad3f993f63d0ccf6417d4862400f45a87de39a10e2468ecd91b9a5a	2026-11-27 20:32:17.205571+00
5	exposure	2d48447d2ab59aead10447f76aa1a733b9117b140eedb143cd8a561c46010a6c	2026-11-27 20:32:17.205571+00
6	listing	4ca8af68862efa4d9d328fd279c8c5a43b99a5770a157fd50fd6d041d59de623	2026-11-27 20:32:17.205571+00
7	rows	acc9d52b730cd0138966787f54c447d3dbab5080b6aa785ffcc86621da884c5d	2026-11-27 20:32:17.205571+00
8	cluster	c4a8b9be3e54b48c97596c25904be69b4967188201c9b057e4be15b5601b4d2d	2026-11-27 20:32:17.205571+00
\.


--
-- Data for Name: tarana_sync_change_batches; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tarana_sync_change_batches (run, first, op, applied, changes, serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg, band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name) FROM stdin;
189eaa7f-1d5b-4436-9ae3-6280a8a61302	1	insert	t	\N	{S134F0000000105,S134F0000000106,S134F0000000110,S134F0000000111,S134F0000000229,S134F0000000230,S134F0000000231,S134F0000000249,S134F0000000259,S134F0000000260,S134F0000000335,S134F0000000382,S134F0000000383,S134F0000000391,S134F0000000392,S134F0000000394,S134F0000000395,S134F0000000426,S134F0000000427,S134F0000000428,S134F0000000522,S134F0000000523,S134F0000000524,S134F0000000525,S134F0000000571,S134F0000000609,S134F0000000610,S134F0000000676,S134F0000000695,S134F0000000696,S134F0000000697,S134F0000000717,S134F0000000718,S134F0000000730,S134F0000000761,S134F0000000762,S134F0000000805,S134F0000000806}	{X9003-BN-45,X9003-BN-135,X9007-BN-45,X9007-BN-135,X9069-BN-45,X9069-BN-135,X9069-BN-225,X9079-BN-45,X9084-BN-45,X9084-BN-147.5,X9125-BN-45,X9149-BN-45,X9149-BN-135,X9152-BN-45,X9152-BN-135,X9154-BN-45,X9154-BN-135,X9173-BN-45,X9173-BN-135,X9173-BN-225,X9222-BN-45,X9222-BN-135,X9222-BN-225,X9223-BN-57.5,X9250-BN-45,X9270-BN-45,X9270-BN-135,X9303-BN-0,X9315-BN-45,X9315-BN-135,X9315-BN-225,X9325-BN-57.5,X9325-BN-135,X9332-BN-45,X9352-BN-45,X9352-BN-135,X9375-BN-45,X9375-BN-135}	{"Doring Water Tower 2","Doring Water Tower 2","Two Rivers Depot 6","Two Rivers Depot 6","Sundown Mall 68","Sundown Mall 68","Sundown Mall 68","Groot Quarry 78","O'Kiep Depot 83","O'Kiep Depot 83","Old Quarry 124","Old Depot 148","Old Depot 148","O'Kiep Ridge 151","O'Kiep Ridge 151","Rooi Farm 153","Rooi Farm 153","Groot Mast 172","Groot Mast 172","Groot Mast 172","Upper Depot 221","Upper Depot 221","Upper Depot 221","Müller's Silo 222","Müller's Reservoir 249","Rooi Quarry 269","Rooi Quarry 269","Doring Mast 302","New Reservoir 314","New Reservoir 314","New Reservoir 314","Old Reservoir 324","Old Reservoir 324","Upper Quarry 331","North Ridge 351","North Ridge 351","Fictional Quarry 374","Fictional Quarry 374"}	{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}	{"Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East","Lowveld East"}	{-25.202457,-25.202408,-25.103294,-25.103338,-25.183482,-25.183447,-25.183450,-25.722650,-25.681960,-25.681963,-25.793414,-25.134229,-25.134198,-25.253742,-25.253755,-25.427627,-25.427628,-25.330565,-25.330532,-25.330504,-25.789405,-25.789442,-25.789386,-25.407237,-25.788620,-25.253769,-25.253753,-25.462428,-25.771803,-25.771786,-25.771791,-25.246061,-25.246140,-25.080556,-25.214404,-25.214350,-25.725240,-25.725274}	{31.530022,31.530055,31.239569,31.239534,31.418269,31.418285,31.418336,31.629218,31.866576,31.866595,31.428542,31.226498,31.226444,31.469576,31.469593,31.875840,31.875914,31.353308,31.353296,31.353320,31.280067,31.280109,31.280085,31.280337,31.327617,31.418313,31.418318,31.289910,31.628427,31.628382,31.628417,31.598790,31.598816,31.592232,31.690791,31.690806,31.959252,31.959277}	{Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld,Lowveld}	{841.70,871.10,1002.20,1007.30,1708.00,1721.40,1690.50,802.30,1365.70,1350.90,1348.60,1045.60,1051.60,977.00,985.20,124.80,130.60,1682.90,1716.70,1695.80,911.00,926.60,892.70,859.30,732.00,368.80,414.70,825.60,344.80,347.70,371.50,1015.00,1016.90,1251.50,1489.90,1484.00,1356.10,1336.60}	{45.00,135.00,45.00,135.00,45.00,135.00,225.00,45.00,45.00,147.50,45.00,45.00,135.00,45.00,135.00,45.00,135.00,45.00,135.00,225.00,45.00,135.00,225.00,57.50,45.00,45.00,135.00,0.00,45.00,135.00,225.00,57.50,135.00,45.00,45.00,135.00,45.00,135.00}	{5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,5ghz,6ghz,5ghz,5ghz,5ghz,5ghz,5ghz,6ghz,5ghz,5ghz,5ghz,5ghz,5ghz,6ghz,5ghz,5ghz,5ghz,5ghz}	{1,1,1,0,1,1,1,0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0,1,1,1,1,1,1,1,1,1,1}	{1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075,1075}	{9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608,9608}	{94903,94903,94907,94907,94969,94969,94969,94979,94984,94984,95025,95049,95049,95052,95052,95054,95054,95073,95073,95073,95122,95122,95122,95123,95150,95170,95170,95203,95215,95215,95215,95225,95225,95232,95252,95252,95275,95275}	{95303,95303,95307,95307,95369,95369,95369,95379,95384,95384,95425,95449,95449,95452,95452,95454,95454,95473,95473,95473,95522,95522,95522,95523,95550,95570,95570,95603,95615,95615,95615,95625,95625,95632,95652,95652,95675,95675}	{90505,90506,90510,90511,90629,90630,90631,90649,90659,90660,90735,90782,90783,90791,90792,90794,90795,90826,90827,90828,90922,90923,90924,90925,90971,91009,91010,91076,91095,91096,91097,91117,91118,91130,91161,91162,91205,91206}	{X9003,X9003,X9007,X9007,X9069,X9069,X9069,X9079,X9084,X9084,X9125,X9149,X9149,X9152,X9152,X9154,X9154,X9173,X9173,X9173,X9222,X9222,X9222,X9223,X9250,X9270,X9270,X9303,X9315,X9315,X9315,X9325,X9325,X9332,X9352,X9352,X9375,X9375}	{X9003-BN-45,X9003-BN-135,X9007-BN-45,X9007-BN-135,X9069-BN-45,X9069-BN-135,X9069-BN-225,X9079-BN-45,X9084-BN-45,X9084-BN-147.5,X9125-BN-45,X9149-BN-45,X9149-BN-135,X9152-BN-45,X9152-BN-135,X9154-BN-45,X9154-BN-135,X9173-BN-45,X9173-BN-135,X9173-BN-225,X9222-BN-45,X9222-BN-135,X9222-BN-225,X9223-BN-57.5,X9250-BN-45,X9270-BN-45,X9270-BN-135,X9303-BN-0,X9315-BN-45,X9315-BN-135,X9315-BN-225,X9325-BN-57.5,X9325-BN-135,X9332-BN-45,X9352-BN-45,X9352-BN-135,X9375-BN-45,X9375-BN-135}
48ec0e00-fbb8-48e7-a20a-17044fea34a4	1	update	f	[{"serial":"S134F0000000105","before":{"hostname":"outdated"},"after":{"hostname":"X9003-BN-45"}},{"serial":"S134F0000000106","before":{"hostname":"outdated"},"after":{"hostname":"X9003-BN-135"}},{"serial":"S134F0000000110","before":{"hostname":"outdated"},"after":{"hostname":"X9007-BN-45"}},{"serial":"S134F0000000111","before":{"hostname":"outdated"},"after":{"hostname":"X9007-BN-135"}},{"serial":"S134F0000000229","before":{"hostname":"outdated"},"after":{"hostname":"X9069-BN-45"}}]	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N
48ec0e00-fbb8-48e7-a20a-17044fea34a4	6	delete	f	\N	{S999F0000000001}	{gone}	{Dismantled}	{0}	{Lowveld}	{-25.400000}	{31.000000}	{Lowveld}	{NULL}	{NULL}	{NULL}	{0}	{1075}	{NULL}	{NULL}	{NULL}	{NULL}	{NULL}	{NULL}
6ceed82f-f451-498d-aa97-7da14bce71ff	1	update	t	[{"serial":"S134F0000000105","before":{"hostname":"outdated"},"after":{"hostname":"X9003-BN-45"}},{"serial":"S134F0000000106","before":{"hostname":"outdated"},"after":{"hostname":"X9003-BN-135"}},{"serial":"S134F0000000110","before":{"hostname":"outdated"},"after":{"hostname":"X9007-BN-45"}},{"serial":"S134F0000000111","before":{"hostname":"outdated"},"after":{"hostname":"X9007-BN-135"}},{"serial":"S134F0000000229","before":{"hostname":"outdated"},"after":{"hostname":"X9069-BN-45"}}]	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N
6ceed82f-f451-498d-aa97-7da14bce71ff	6	delete	t	\N	{S999F0000000001}	{gone}	{Dismantled}	{0}	{Lowveld}	{-25.400000}	{31.000000}	{Lowveld}	{NULL}	{NULL}	{NULL}	{0}	{1075}	{NULL}	{NULL}	{NULL}	{NULL}	{NULL}	{NULL}
\.


--
-- Data for Name: tarana_sync_logs; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tarana_sync_logs (id, status, trigger_type, triggered_by, stations_fetched, inserted, updated, deleted, errors, attempt, started_at, completed_at, duration_ms, created_at, namespace, name, connection, connection_uid, actor, dry_run, delete_stale, outcome, reason, message, unchanged, skipped, withheld, fence, heartbeat_at, listing, proof, cluster_uid) FROM stdin;
189eaa7f-1d5b-4436-9ae3-6280a8a61302	completed	manual	\N	39	38	0	0	[{"kind": "skipped", "serial": "S134F0000000719", "message": "S134F0000000719: installParams.latitude and installParams.longitude are not set, and a new row needs them", "timestamp": "2026-11-27T20:32:18.246Z"}]	1	2026-11-27 20:32:18.144517+00	2026-11-27 20:32:18.254142+00	110	2026-11-27 20:32:18.142019+00	upgrade	first	default	20048824-d53e-4eab-a2eb-eb3ffa264c19		f	f	completed	Completed	\N	0	1	0	1	2026-11-27 20:32:18.246272+00	RegionSearch	Total	dfe66ead-3773-4265-8877-953b9d8a07db
867c7777-58cd-4ae6-8ddc-5ae11814c9a9	completed	cron	\N	0	0	0	0	[]	1	2026-11-18 20:32:18.971434+00	2026-11-18 20:32:18.971434+00	\N	2026-11-18 20:32:18.971434+00	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N
48ec0e00-fbb8-48e7-a20a-17044fea34a4	completed	manual	\N	39	0	5	1	[{"kind": "skipped", "serial": "S134F0000000719", "message": "S134F0000000719: installParams.latitude and installParams.longitude are not set, and a new row needs them", "timestamp": "2026-11-27T20:32:19.248Z"}]	1	2026-11-27 20:32:19.190807+00	2026-11-27 20:32:19.252005+00	61	2026-11-27 20:32:19.185343+00	upgrade	what-if	default	20048824-d53e-4eab-a2eb-eb3ffa264c19		t	t	completed	Completed	\N	33	1	0	1	2026-11-27 20:32:19.248098+00	RegionSearch	Total	dfe66ead-3773-4265-8877-953b9d8a07db
6ceed82f-f451-498d-aa97-7da14bce71ff	completed	manual	\N	39	0	5	1	[{"kind": "skipped", "serial": "S134F0000000719", "message": "S134F0000000719: installParams.latitude and installParams.longitude are not set, and a new row needs them", "timestamp": "2026-11-27T20:32:19.512Z"}]	1	2026-11-27 20:32:19.451809+00	2026-11-27 20:32:19.523305+00	71	2026-11-27 20:32:19.441445+00	upgrade	cleanup	default	20048824-d53e-4eab-a2eb-eb3ffa264c19	thandi@example.com	f	t	completed	Completed	\N	33	1	0	1	2026-11-27 20:32:19.51238+00	RegionSearch	Total	dfe66ead-3773-4265-8877-953b9d8a07db
6863b268-c650-4bbb-9536-451340641aff	failed	manual	\N	0	0	0	0	[{"message": "TCS rejects the username or password: correct them in the Secret of spec.api.credentialsSecretRef (logins are paused for 15 min, or until the connection or its Secret changes)", "timestamp": "2026-11-27T20:32:21.135139+00:00"}]	0	\N	2026-11-27 20:32:21.136703+00	0	2026-11-27 20:32:20.116116+00	upgrade	failed	wrong	8edb41a2-f8ea-4260-9c60-6dcb8333050e		f	f	failed	AuthenticationFailed	TCS rejects the username or password: correct them in the Secret of spec.api.credentialsSecretRef (logins are paused for 15 min, or until the connection or its Secret changes)	\N	\N	\N	1	\N	\N	\N	dfe66ead-3773-4265-8877-953b9d8a07db
6836a4b1-87f9-4f27-aad4-5a69db978f27	completed	cron	\N	39	0	0	0	[{"kind": "skipped", "serial": "S134F0000000719", "message": "S134F0000000719: installParams.latitude and installParams.longitude are not set, and a new row needs them", "timestamp": "2026-11-27T20:32:22.578Z"}]	1	2026-11-27 20:32:22.540447+00	2026-11-27 20:32:22.682107+00	142	2026-11-27 20:32:22.538914+00	upgrade	frequent-29930190	default	20048824-d53e-4eab-a2eb-eb3ffa264c19		f	f	completed	Completed	\N	38	1	0	1	2026-11-27 20:32:22.578871+00	RegionSearch	Total	dfe66ead-3773-4265-8877-953b9d8a07db
851cffcb-a5c0-47e9-a5c5-e70190d1bc8c	failed	manual	\N	0	0	0	0	[{"message": "spec.cancel was set", "timestamp": "2026-11-27T20:32:23.374924+00:00"}]	0	\N	2026-11-27 20:32:23.37653+00	0	2026-11-27 20:32:22.961707+00	upgrade	cancelled	default	20048824-d53e-4eab-a2eb-eb3ffa264c19		f	f	cancelled	Cancelled	spec.cancel was set	\N	\N	\N	1	\N	\N	\N	dfe66ead-3773-4265-8877-953b9d8a07db
b5374a9f-7f59-46e8-a031-956b3739b8cd	pending	manual	\N	0	0	0	0	[]	1	\N	\N	\N	2026-11-27 20:32:23.733267+00	upgrade	waiting	default	20048824-d53e-4eab-a2eb-eb3ffa264c19		f	f	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	dfe66ead-3773-4265-8877-953b9d8a07db
\.


--
-- Data for Name: tarana_sync_outbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tarana_sync_outbox (id, run, type, payload, created_at, delivered_at) FROM stdin;
2	48ec0e00-fbb8-48e7-a20a-17044fea34a4	tarana/sync.completed	{"deleted": 1, "dry_run": true, "updated": 5, "inserted": 0, "duration_ms": 61, "sync_log_id": "48ec0e00-fbb8-48e7-a20a-17044fea34a4"}	2026-11-27 20:32:19.248098+00	\N
3	6ceed82f-f451-498d-aa97-7da14bce71ff	tarana/sync.completed	{"deleted": 1, "dry_run": false, "updated": 5, "inserted": 0, "duration_ms": 71, "sync_log_id": "6ceed82f-f451-498d-aa97-7da14bce71ff"}	2026-11-27 20:32:19.51238+00	\N
4	6863b268-c650-4bbb-9536-451340641aff	tarana/sync.failed	{"error": "TCS rejects the username or password: correct them in the Secret of spec.api.credentialsSecretRef (logins are paused for 15 min, or until the connection or its Secret changes)", "attempt": 0, "sync_log_id": "6863b268-c650-4bbb-9536-451340641aff"}	2026-11-27 20:32:21.135139+00	\N
5	6836a4b1-87f9-4f27-aad4-5a69db978f27	tarana/sync.completed	{"deleted": 0, "dry_run": false, "updated": 0, "inserted": 0, "duration_ms": 142, "sync_log_id": "6836a4b1-87f9-4f27-aad4-5a69db978f27"}	2026-11-27 20:32:22.578871+00	\N
6	851cffcb-a5c0-47e9-a5c5-e70190d1bc8c	tarana/sync.cancelled	{"error": "spec.cancel was set", "attempt": 0, "sync_log_id": "851cffcb-a5c0-47e9-a5c5-e70190d1bc8c"}	2026-11-27 20:32:23.374924+00	\N
1	189eaa7f-1d5b-4436-9ae3-6280a8a61302	tarana/sync.completed	{"deleted": 0, "dry_run": false, "updated": 0, "inserted": 38, "duration_ms": 110, "sync_log_id": "189eaa7f-1d5b-4436-9ae3-6280a8a61302"}	2026-11-27 20:32:18.246272+00	2026-11-27 20:32:24.060417+00
\.


--
-- Name: tarana_sync_outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.tarana_sync_outbox_id_seq', 6, true);


--
-- Name: tarana_base_stations tarana_base_stations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_base_stations
    ADD CONSTRAINT tarana_base_stations_pkey PRIMARY KEY (id);


--
-- Name: tarana_base_stations tarana_base_stations_serial_number_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_base_stations
    ADD CONSTRAINT tarana_base_stations_serial_number_key UNIQUE (serial_number);


--
-- Name: tarana_migrations tarana_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_migrations
    ADD CONSTRAINT tarana_migrations_pkey PRIMARY KEY (version);


--
-- Name: tarana_sync_change_batches tarana_sync_change_batches_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_change_batches
    ADD CONSTRAINT tarana_sync_change_batches_pkey PRIMARY KEY (run, first);


--
-- Name: tarana_sync_logs tarana_sync_logs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_logs
    ADD CONSTRAINT tarana_sync_logs_pkey PRIMARY KEY (id);


--
-- Name: tarana_sync_outbox tarana_sync_outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_outbox
    ADD CONSTRAINT tarana_sync_outbox_pkey PRIMARY KEY (id);


--
-- Name: tarana_sync_outbox tarana_sync_outbox_run_type_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_outbox
    ADD CONSTRAINT tarana_sync_outbox_run_type_key UNIQUE (run, type);


--
-- Name: idx_tarana_sync_logs_created; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_tarana_sync_logs_created ON public.tarana_sync_logs USING btree (created_at DESC);


--
-- Name: idx_tarana_sync_logs_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_tarana_sync_logs_status ON public.tarana_sync_logs USING btree (status) WHERE (status = ANY (ARRAY['pending'::text, 'running'::text]));


--
-- Name: tarana_sync_logs_one_running; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX tarana_sync_logs_one_running ON public.tarana_sync_logs USING btree (connection_uid) WHERE (status = 'running'::text);


--
-- Name: tarana_sync_change_batches tarana_sync_change_batches_run_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_change_batches
    ADD CONSTRAINT tarana_sync_change_batches_run_fkey FOREIGN KEY (run) REFERENCES public.tarana_sync_logs(id) ON DELETE CASCADE;


--
-- Name: tarana_sync_outbox tarana_sync_outbox_run_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tarana_sync_outbox
    ADD CONSTRAINT tarana_sync_outbox_run_fkey FOREIGN KEY (run) REFERENCES public.tarana_sync_logs(id) ON DELETE CASCADE;


--
-- Name: tarana_base_stations Base stations are public; Type: POLICY; Schema: public; Owner: -
--

CREATE POLICY "Base stations are public" ON public.tarana_base_stations FOR SELECT USING (true);


--
-- Name: tarana_base_stations; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.tarana_base_stations ENABLE ROW LEVEL SECURITY;

--
-- Name: tarana_sync_logs; Type: ROW SECURITY; Schema: public; Owner: -
--

ALTER TABLE public.tarana_sync_logs ENABLE ROW LEVEL SECURITY;

--
-- PostgreSQL database dump complete
--


