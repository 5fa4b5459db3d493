BEGIN TRANSACTION;
CREATE TABLE attempts (
	"key" TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	opened_at FLOAT NOT NULL, 
	closed_at FLOAT, 
	PRIMARY KEY ("key", number), 
	CHECK (state IN ('open', 'succeeded', 'failed'))
);
INSERT INTO "attempts" VALUES('5555555555555555555555555555555555555555555555555555555555555555',1,'failed','it was killed',1.79606690794435405736e+09,1.79606690795394515988e+09);
INSERT INTO "attempts" VALUES('5555555555555555555555555555555555555555555555555555555555555555',2,'open','',1.79606690795997071263e+09,NULL);
CREATE TABLE beginnings (
	topic TEXT NOT NULL, 
	partition INTEGER NOT NULL, 
	topic_id TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	origin TEXT NOT NULL, 
	recorded_at FLOAT NOT NULL, 
	PRIMARY KEY (topic, partition), 
	CHECK (origin IN ('landing', 'spans'))
);
INSERT INTO "beginnings" VALUES('readings',0,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c',0,'landing',1.79606690710737371442e+09);
INSERT INTO "beginnings" VALUES('readings',1,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c',0,'landing',1.79606690787004232403e+09);
INSERT INTO "beginnings" VALUES('late',0,'2c5862db-566b-5565-b090-b662a5fe448c',5,'landing',1.79606690791954922673e+09);
CREATE TABLE intents (
	id INTEGER NOT NULL, 
	slot TEXT NOT NULL, 
	expected INTEGER, 
	wanted INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	opened_at FLOAT NOT NULL, 
	closed_at FLOAT, 
	PRIMARY KEY (id), 
	CHECK (state IN ('open', 'done', 'taken back'))
);
INSERT INTO "intents" VALUES(1,'m@champion',NULL,1,'done','',1.79606690798295211795e+09,1.79606690798789763452e+09);
INSERT INTO "intents" VALUES(2,'m@champion',1,2,'open','',1.79606690799754905698e+09,NULL);
CREATE TABLE koboshi_versions (
	format_version INTEGER NOT NULL, 
	first_token BIGINT DEFAULT '1' NOT NULL, 
	PRIMARY KEY (format_version)
);
INSERT INTO "koboshi_versions" VALUES(3,1);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	token BIGINT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('land/readings/0','kept',1,0.0);
INSERT INTO "leases" VALUES('land/readings/1','kept',1,0.0);
INSERT INTO "leases" VALUES('land/late/0','kept',1,0.0);
INSERT INTO "leases" VALUES('training/5555555555555555555555555555555555555555555555555555555555555555','kept',1,1.79606696793737077716e+09);
CREATE TABLE spans (
	topic TEXT NOT NULL, 
	partition INTEGER NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	topic_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	token BIGINT NOT NULL, 
	path TEXT, 
	sha256 TEXT, 
	content TEXT, 
	records BIGINT, 
	planned_at FLOAT NOT NULL, 
	committed_at FLOAT, 
	PRIMARY KEY (topic, partition, start), 
	CHECK (state IN ('planned', 'committed')), 
	CHECK (start < "end")
);
INSERT INTO "spans" VALUES('readings',0,0,10,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c','committed',1,'spans/readings/0/0-10-dcb4ae7c1d7a8f9a.parquet','dcb4ae7c1d7a8f9aa31ec7b803af6dcfde8406d7a7c638a5ff459b99b4849d58','3ccf40fcefe66dc531365a52df90473801d60f3fd27926e154f78c9dccfd341a',10,1.79606690710789752007e+09,1.79606690782311439512e+09);
INSERT INTO "spans" VALUES('readings',0,10,20,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c','committed',1,'spans/readings/0/10-20-9a7095cb5ae81e65.parquet','9a7095cb5ae81e655e17a35775352fffc7d702fb69601f8e78dfef4b2c2d00d3','2357bb3e0a870b631ecb69d69a54eed268a5850cd00ed9a207500380cf5d9cd0',10,1.79606690710878610615e+09,1.79606690783187842369e+09);
INSERT INTO "spans" VALUES('readings',0,20,25,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c','committed',1,'spans/readings/0/20-25-db3b9298c3ea491e.parquet','db3b9298c3ea491e372de5d9ea60f4d48d89f2937914821fbef0db4df9c1fb2d','08a29906ccad2322a363d7d0be1d9fbbe997ce230bfed165447d303d0527ec6e',5,1.79606690711263251303e+09,1.7960669078471615315e+09);
INSERT INTO "spans" VALUES('readings',1,0,7,'02d40ed2-2b54-5e6f-9a72-8bd23ce4332c','committed',1,'spans/readings/1/0-7-0dfa2099116141f5.parquet','0dfa2099116141f5ba394315071d8d53e8ba16acb0e50b936f0f37ae5cc816af','dc17cb060df3a231cedb37d2eb304cf0c2b60328c628d9825b80e5155d7d52e0',7,1.79606690787026071552e+09,1.79606690788587927817e+09);
CREATE TABLE steps (
	id INTEGER NOT NULL, 
	run_key TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	metrics JSON NOT NULL, 
	token BIGINT NOT NULL, 
	committed_at FLOAT NOT NULL, 
	set_aside TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "steps" VALUES(1,'5555555555555555555555555555555555555555555555555555555555555555','a',1,'5555555555555555/a/0001-12dad01d9cdc9998.v1.ckpt','12dad01d9cdc9998c06e2021b9289792aefc7dee06b39c6501b077074e656431','{"loss": 0.5}',1,1.79606690797354459762e+09,NULL);
CREATE UNIQUE INDEX one_committed_step ON steps (run_key, unit, step) WHERE set_aside IS NULL;
CREATE UNIQUE INDEX one_open_intent ON intents (slot) WHERE state = 'open';
COMMIT;
