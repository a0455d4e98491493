"""FastAPI: a pool that lives as long as the application."""

import os
from contextlib import asynccontextmanager
from email.message import EmailMessage

from fastapi import FastAPI, Request

import smtpkit.asyncio


@asynccontextmanager
async def lifespan(app):
    async with smtpkit.asyncio.Pool(os.environ.get("SMTP_URL", "memory:"), deadline=30) as app.state.mail:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/welcome", status_code=202)
async def welcome(address: str, request: Request):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.org", address, "Welcome"
    message.set_content("Hello\n")
    await request.app.state.mail.send_message(message)
